// Comfort on top of pages that work without it: type-ahead, drag on the board, one submit per form.
(function () {
  "use strict";

  function all(selector, root) { return Array.from((root || document).querySelectorAll(selector)); }

  // --- theme -------------------------------------------------------------------------------------
  all("[data-theme-switch]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var next = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      document.documentElement.setAttribute("data-bs-theme", next);
      try { localStorage.setItem("backoffice-theme", next); } catch (error) { /* private window: not kept */ }
    });
  });

  // --- menus: Escape and a click elsewhere close an open <details data-menu> --------------------------
  document.addEventListener("click", function (event) {
    all("details[data-menu][open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    all("details[data-menu][open]").forEach(function (menu) {
      menu.open = false;
      var summary = menu.querySelector("summary");
      if (summary) summary.focus();
    });
  });

  // --- a link to a field opens the folded part where it stands ---------------------------------------
  function openTarget() {
    if (!location.hash) return;
    var target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    var folded = target.closest("details");
    if (folded) folded.open = true;
    target.scrollIntoView({ block: "center" });
    var input = target.querySelector("input:not([type=hidden]), select, textarea");
    if (input) input.focus({ preventScroll: true });
  }
  window.addEventListener("hashchange", openTarget);
  openTarget();

  // --- what went wrong is read first ------------------------------------------------------------------
  var alertBox = document.querySelector("main .alert[tabindex]");
  if (alertBox && !location.hash) alertBox.focus();

  // --- a form is sent once -----------------------------------------------------------------------------
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    all("button[type=submit], button:not([type])", form).forEach(function (button) {
      button.setAttribute("aria-disabled", "true");
      button.classList.add("btn-loading");
    });
  });
  window.addEventListener("pageshow", function () {
    all("form[data-sent]").forEach(function (form) {
      delete form.dataset.sent;
      all(".btn-loading", form).forEach(function (button) {
        button.classList.remove("btn-loading");
        button.removeAttribute("aria-disabled");
      });
    });
  });

  // --- filters answer at once ----------------------------------------------------------------------------
  all("[data-autosubmit]").forEach(function (input) {
    input.addEventListener("change", function () { input.form.submit(); });
  });

  // --- type-ahead: a list box over a search address that answers [{id, name, inn, …}] ----
  all("[data-lookup]").forEach(function (box) {
    var input = box.querySelector("[data-lookup-text]");
    var hidden = box.querySelector("[data-lookup-value]");
    var list = box.querySelector("[data-lookup-list]");
    var status = box.querySelector("[data-lookup-status]");
    var items = [], active = -1, timer = 0, asked = 0;
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("aria-controls", list.id);
    input.setAttribute("autocomplete", "off");

    function close() {
      list.hidden = true;
      active = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    }
    function choose(index) {
      var item = items[index];
      input.value = item.name;
      hidden.value = item.id;
      box.classList.add("is-chosen");
      status.textContent = "Выбрано: " + item.name;
      close();
    }
    function mark(index) {
      active = index;
      all("[role=option]", list).forEach(function (option, at) {
        option.setAttribute("aria-selected", at === index ? "true" : "false");
        if (at === index) {
          input.setAttribute("aria-activedescendant", option.id);
          option.scrollIntoView({ block: "nearest" });
        }
      });
    }
    function show(found) {
      items = found;
      list.textContent = "";
      found.forEach(function (item, at) {
        var option = document.createElement("li");
        option.id = list.id + "-" + at;
        option.setAttribute("role", "option");
        option.className = "lookup-option";
        var name = document.createElement("span");
        name.textContent = item.name;
        option.appendChild(name);
        var hint = document.createElement("small");
        hint.textContent = item.inn ? "ИНН " + item.inn : "без ИНН";
        option.appendChild(hint);
        option.addEventListener("mousedown", function (event) { event.preventDefault(); choose(at); });
        list.appendChild(option);
      });
      list.hidden = found.length === 0;
      input.setAttribute("aria-expanded", found.length ? "true" : "false");
      active = -1;
      status.textContent = found.length ? "Найдено: " + found.length : "Ничего не найдено";
    }
    function ask() {
      var text = input.value.trim();
      if (text.length < 2) { close(); status.textContent = ""; return; }
      var mine = ++asked;
      fetch(box.dataset.lookup + encodeURIComponent(text), {
        headers: { Accept: "application/json" }, credentials: "same-origin"
      }).then(function (answer) {
        return answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)));
      }).then(function (data) {
        if (mine !== asked) return;
        show(data.slice(0, 10));
      }).catch(function () { status.textContent = "Поиск сейчас не отвечает – нажмите «Найти»."; });
    }
    input.addEventListener("input", function () {
      hidden.value = "";
      box.classList.remove("is-chosen");
      clearTimeout(timer);
      timer = setTimeout(ask, 180);
    });
    input.addEventListener("keydown", function (event) {
      if (list.hidden) return;
      if (event.key === "ArrowDown") { event.preventDefault(); mark(Math.min(active + 1, items.length - 1)); }
      else if (event.key === "ArrowUp") { event.preventDefault(); mark(Math.max(active - 1, 0)); }
      else if (event.key === "Enter" && active >= 0) { event.preventDefault(); choose(active); }
      else if (event.key === "Escape") { close(); }
    });
    input.addEventListener("blur", function () { setTimeout(close, 120); });
  });

  // --- board: drag a card to another column; the card's own form is what moves it -----------------------
  all("[data-board]").forEach(function (board) {
    var dragged = null;
    all("[data-card]", board).forEach(function (card) {
      if (!card.querySelector("form[data-move]")) return;
      card.draggable = true;
      card.addEventListener("dragstart", function (event) {
        dragged = card;
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", card.dataset.card);
        card.classList.add("is-dragged");
      });
      card.addEventListener("dragend", function () {
        dragged = null;
        card.classList.remove("is-dragged");
        all(".is-target", board).forEach(function (column) { column.classList.remove("is-target"); });
      });
    });
    all("[data-stage]", board).forEach(function (column) {
      column.addEventListener("dragover", function (event) {
        if (!dragged || dragged.closest("[data-stage]") === column) return;
        event.preventDefault();
        column.classList.add("is-target");
      });
      column.addEventListener("dragleave", function (event) {
        if (!column.contains(event.relatedTarget)) column.classList.remove("is-target");
      });
      column.addEventListener("drop", function (event) {
        if (!dragged) return;
        event.preventDefault();
        var form = dragged.querySelector("form[data-move]");
        form.querySelector("select[name=stage]").value = column.dataset.stage;
        form.requestSubmit();
      });
    });
    // the phone shows one stage; bring its tab into view
    var current = board.parentElement.querySelector("[data-stage-tabs] [aria-current]");
    if (current) current.scrollIntoView({ block: "nearest", inline: "center" });
  });

  // --- leaving a page with unsaved input ------------------------------------------------------------------
  all("form[data-keep]").forEach(function (form) {
    var changed = false;
    form.addEventListener("input", function () { changed = true; });
    form.addEventListener("submit", function () { changed = false; });
    window.addEventListener("beforeunload", function (event) { if (changed) event.preventDefault(); });
  });
})();
