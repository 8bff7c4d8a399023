// The bell keeps itself fresh: a light question every 15 seconds while the tab is seen, rarer after failures.
(function () {
  "use strict";
  var bell = document.querySelector("[data-bell]");
  if (!bell || !window.backoffice) return;
  var tools = window.backoffice;
  var root = bell.dataset.bell;
  var dot = bell.querySelector("[data-bell-dot]");
  var summary = bell.querySelector("summary");
  var panel = bell.querySelector("[data-bell-panel]");
  var said = bell.querySelector("[data-bell-said]");
  var EVERY = 15000, RAREST = 5 * 60000;
  var unread = Number(bell.dataset.bellUnread), newest = Number(bell.dataset.bellNewest), shown = newest;
  var tag = null, pause = EVERY, timer = 0;

  function show(count) {
    unread = count;
    dot.hidden = !count;
    dot.textContent = count < 100 ? String(count) : "99+";
    summary.setAttribute("aria-label", count ? "Уведомления, не прочитано: " + count : "Уведомления");
  }

  function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    var headers = { Accept: "application/json" };
    if (tag) headers["If-None-Match"] = tag;
    fetch(root + "/api/notices/unread", { headers: headers, credentials: "same-origin", cache: "no-store" })
      .then(function (answer) {
        if (answer.status === 401) { pause = 0; return null; } // logged out: nothing to ask any more
        if (answer.status === 304) { pause = EVERY; return null; }
        if (!answer.ok) throw new Error(String(answer.status));
        tag = answer.headers.get("ETag");
        pause = EVERY;
        return answer.json();
      })
      .then(function (now) {
        if (!now) return;
        if (now.newest > newest) said.textContent = "Новое уведомление. Не прочитано: " + now.count;
        newest = Math.max(newest, now.newest);
        if (now.count !== unread) shown = 0; // what the panel shows is old
        show(now.count);
        if (bell.open) refresh();
      })
      .catch(function () { pause = Math.min(pause * 2, RAREST); })
      .finally(function () { if (pause && !document.hidden) timer = setTimeout(look, pause); });
  }

  function refresh() {
    if (shown === newest) return;
    fetch(root + "/notices/bell", { credentials: "same-origin", cache: "no-store" })
      .then(function (answer) {
        if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
        return answer.text();
      })
      .then(function (html) {
        var held = panel.contains(document.activeElement);
        var fresh = new DOMParser().parseFromString(html, "text/html").body;
        panel.replaceChildren.apply(panel, Array.from(fresh.childNodes));
        shown = newest;
        if (held) summary.focus();
      })
      .catch(function () { /* the old list stays; the next look tries again */ });
  }

  bell.addEventListener("toggle", function () { if (bell.open) refresh(); });
  document.addEventListener("visibilitychange", function () {
    clearTimeout(timer);
    if (!document.hidden && pause) { pause = EVERY; look(); }
  });

  // «Прочитать все» can be taken back
  function put(address, body) {
    return tools.ask("POST", root + "/api/notices/" + address, body).then(function (done) {
      shown = 0;
      tag = null;
      look();
      return done;
    });
  }
  bell.addEventListener("submit", function (event) {
    if (!event.target.matches("[data-bell-read]")) return;
    event.preventDefault();
    put("read", {}).then(function (done) {
      show(0);
      refresh();
      summary.focus();
      tools.toast("Прочитано: " + done.count, {
        title: "Вернуть",
        run: function () { put("unread", { at: done.at }).then(function () { refresh(); }); }
      }, 10);
    }).catch(function (error) { tools.toast(error.message); });
  }, true);

  timer = setTimeout(look, EVERY);
})();
