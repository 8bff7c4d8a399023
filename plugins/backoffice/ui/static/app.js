// Comfort on top of pages that work without it: type-ahead, dialogs, toasts, one submit per form.
(function () {
  "use strict";

  function all(selector, root) { return Array.from((root || document).querySelectorAll(selector)); }

  // --- what the scripts of single pages share ------------------------------------------------------
  function csrf() {
    var input = document.querySelector("input[name=csrf]");
    return input ? input.value : "";
  }
  function ask(method, address, body) {
    return fetch(address, {
      method: method,
      credentials: "same-origin",
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": csrf() },
      body: body === undefined ? undefined : JSON.stringify(body)
    }).then(function (answer) {
      return answer.json().catch(function () { return {}; }).then(function (data) {
        if (answer.ok) return data;
        var error = new Error(data.error || "Не получилось. Обновите страницу и повторите.");
        error.missing = data.missing || [];
        error.status = answer.status;
        throw error;
      });
    });
  }
  function make(tag, className, text) {
    var one = document.createElement(tag);
    if (className) one.className = className;
    if (text !== undefined) one.textContent = text;
    return one;
  }
  // a message that goes by itself; while somebody points at it or has the keyboard in it, it stays
  function toast(text, act, seconds) {
    var one = make("div", "toast-line");
    one.appendChild(make("span", "", text));
    var left = seconds || 6, stays = false;
    function leave() { clearInterval(timer); one.remove(); }
    if (act) {
      var button = make("button", "btn btn-sm", act.title);
      button.type = "button";
      button.addEventListener("click", function () { leave(); act.run(); });
      one.appendChild(button);
    }
    var close = make("button", "toast-close", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Убрать сообщение");
    close.addEventListener("click", leave);
    one.appendChild(close);
    ["mouseenter", "focusin"].forEach(function (name) { one.addEventListener(name, function () { stays = true; }); });
    ["mouseleave", "focusout"].forEach(function (name) { one.addEventListener(name, function () { stays = false; }); });
    var timer = setInterval(function () { if (!stays && --left <= 0) leave(); }, 1000);
    document.querySelector("[data-toasts]").appendChild(one);
    return one;
  }
  // a question or a refusal; <dialog> keeps the keyboard inside and gives it back afterwards
  function dialog(question) {
    return new Promise(function (resolve) {
      var before = document.activeElement;
      var box = make("dialog", "ask");
      var title = make("h2", "ask-title", question.title);
      title.id = "ask-title";
      box.setAttribute("aria-labelledby", title.id);
      box.appendChild(title);
      if (question.text) box.appendChild(make("p", "ask-text", question.text));
      if (question.items && question.items.length) {
        var list = make("ul", "missing");
        question.items.forEach(function (item) {
          var line = make("li", "", item.text);
          if (item.link) {
            line.appendChild(document.createTextNode(" — "));
            var link = make("a", "", "открыть");
            link.href = item.link;
            line.appendChild(link);
          }
          list.appendChild(line);
        });
        box.appendChild(list);
      }
      var buttons = make("div", "btn-list ask-buttons");
      function add(text, className, value) {
        var button = make("button", "btn " + className, text);
        button.type = "button";
        button.addEventListener("click", function () { box.close(value); });
        buttons.appendChild(button);
        return button;
      }
      if (question.yes) add(question.yes, question.tone || "btn-primary", "yes");
      var no = add(question.no || "Отмена", question.yes ? "" : "btn-primary", "");
      box.appendChild(buttons);
      box.addEventListener("close", function () {
        var answer = box.returnValue === "yes";
        box.remove();
        if (before && before.isConnected) before.focus();
        resolve(answer);
      });
      document.body.appendChild(box);
      box.showModal();
      no.focus();
    });
  }
  // «ещё»: what the address answers takes the link's place; without this code the link opens a page of its own
  function load(link, address, wanted) {
    if (link.getAttribute("aria-busy")) return;
    link.setAttribute("aria-busy", "true");
    var place = link.dataset.loadWhole ? link.closest(link.dataset.loadWhole) : link, list = place.parentNode;
    fetch(address, { credentials: "same-origin" })
      .then(function (answer) { return answer.ok && !answer.redirected ? answer.text() : Promise.reject(new Error()); })
      .then(function (html) {
        var body = new DOMParser().parseFromString(html, "text/html").body;
        var added = Array.from(body.children).filter(wanted || Boolean);
        place.replaceWith.apply(place, added);
        var first = added.length ? added[0].querySelector("a") || added[0] : list.querySelector("a");
        if (first) first.focus();
        list.dispatchEvent(new CustomEvent("loaded", { bubbles: true, detail: added }));
      })
      .catch(function () { location.assign(link.href); });
  }
  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[data-load]");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    load(link, link.dataset.load);
  });
  window.backoffice = { all: all, ask: ask, csrf: csrf, load: load, make: make, toast: toast, dialog: dialog };

  // --- theme: the button chooses light or dark for good, «Мои настройки» knows «как на устройстве», too ------
  all("[data-theme-switch]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var root = document.documentElement;
      var next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      root.setAttribute("data-bs-theme", next);
      root.setAttribute("data-theme", next);
      try { localStorage.setItem("backoffice-theme", next); } catch (error) { /* private window: not kept */ }
      fetch(button.dataset.themeSwitch, {
        method: "POST", credentials: "same-origin", redirect: "manual", headers: { "X-CSRF-Token": csrf() },
        body: new URLSearchParams({ theme: next })
      }).catch(function () { toast("Тема сменилась только здесь: сервер не ответил."); });
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
    if (form.method !== "post" || event.defaultPrevented) return;
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
    function lookUp() {
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
      timer = setTimeout(lookUp, 180);
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

  // --- leaving a page with unsaved input ------------------------------------------------------------------
  all("form[data-keep]").forEach(function (form) {
    var changed = false;
    form.addEventListener("input", function () { changed = true; });
    form.addEventListener("submit", function () { changed = false; });
    window.addEventListener("beforeunload", function (event) { if (changed) event.preventDefault(); });
  });
})();
