// What is being loaded looks again by itself; whoever works in the page (focus, selection, another tab) is not disturbed.
(function () {
  "use strict";
  var live = document.querySelector("[data-exchange-live]");
  if (!live || !live.dataset.exchangeLive) return;
  var timer = setTimeout(look, Number(live.dataset.exchangeLive) * 1000);

  function busy() {
    var chosen = window.getSelection();
    return document.hidden || live.contains(document.activeElement) || (chosen && !chosen.isCollapsed)
      || live.querySelector("details[open]");
  }
  function again() {
    clearTimeout(timer);
    var seconds = Number(live.dataset.exchangeLive);
    if (seconds) timer = setTimeout(look, seconds * 1000);
  }
  function look() {
    if (busy()) return again();
    fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } })
      .then(function (answer) { return answer.ok && !answer.redirected ? answer.text() : Promise.reject(new Error()); })
      .then(function (html) {
        var fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-exchange-live]");
        if (!fresh || busy()) return;
        if (fresh.dataset.exchangeState !== live.dataset.exchangeState) return location.reload(); // the rest has changed too
        live.replaceWith(fresh);
        live = fresh;
      })
      .catch(function () { /* the next look tries again */ })
      .finally(again);
  }
})();
