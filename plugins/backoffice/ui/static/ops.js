// The ops page looks again by itself; whoever works in it (focus, selection, another tab) is not disturbed.
(function () {
  "use strict";
  var EVERY = 10000;
  var said = document.querySelector("[data-ops-fresh]");
  if (!said || !document.querySelector("[data-ops-live]")) return;
  said.textContent = "Обновляется само.";

  function busy(live) {
    var chosen = window.getSelection();
    return document.hidden || live.contains(document.activeElement) || (chosen && !chosen.isCollapsed);
  }
  function look() {
    var live = document.querySelector("[data-ops-live]");
    if (busy(live)) return;
    fetch(location.pathname, { credentials: "same-origin", headers: { Accept: "text/html" } })
      .then(function (answer) { return answer.ok && !answer.redirected ? answer.text() : Promise.reject(new Error()); })
      .then(function (html) {
        var fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-ops-live]");
        if (!fresh || busy(live)) return;
        live.replaceWith(fresh);
        said.textContent = "Обновляется само, последний раз в " + new Date().toLocaleTimeString("ru-RU") + ".";
      })
      .catch(function () { said.textContent = "Сервер не отвечает: обновите страницу или выполните make doctor."; });
  }
  setInterval(look, EVERY);
})();
