// The search box of the header answers while typing; «/» leads to it, arrows walk through what was found.
(function () {
  "use strict";
  var form = document.querySelector("[data-search]");
  if (!form || !window.backoffice) return;
  var tools = window.backoffice;
  var input = form.querySelector("[data-search-text]");
  var list = form.querySelector("[data-search-list]");
  var status = form.querySelector("[data-search-status]");
  var options = [], active = -1, timer = 0, asked = 0;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-expanded", "false");
  input.setAttribute("aria-controls", list.id);

  document.addEventListener("keydown", function (event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    event.preventDefault();
    input.focus();
    input.select();
  });

  function close() {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
  function mark(index) {
    active = index;
    options.forEach(function (option, at) {
      option.setAttribute("aria-selected", at === index ? "true" : "false");
      if (at !== index) return;
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    });
  }
  function titleOf(hit) {
    var title = tools.make("span", "hit-title");
    hit.parts.forEach(function (part) { title.appendChild(tools.make(part.found ? "mark" : "span", "", part.text)); });
    return title;
  }
  function show(found) {
    list.textContent = "";
    options = [];
    found.groups.forEach(function (group) {
      var part = tools.make("li", "searchlist-group");
      var name = tools.make("span", "searchlist-head", group.title);
      name.id = list.id + "-" + group.kind;
      var rows = tools.make("ul");
      part.setAttribute("role", "presentation");
      rows.setAttribute("role", "group");
      rows.setAttribute("aria-labelledby", name.id);
      group.hits.forEach(function (hit) {
        var option = tools.make("li", "hit" + (hit.open ? "" : " is-closed"));
        option.id = list.id + "-" + options.length;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.dataset.link = hit.link;
        option.appendChild(titleOf(hit));
        option.appendChild(tools.make("span", "hit-note", hit.note));
        option.addEventListener("mousedown", function (event) { event.preventDefault(); location.assign(hit.link); });
        rows.appendChild(option);
        options.push(option);
      });
      part.appendChild(name);
      part.appendChild(rows);
      list.appendChild(part);
    });
    list.hidden = !options.length;
    active = -1;
    input.setAttribute("aria-expanded", options.length ? "true" : "false");
    status.textContent = found.too_short ? "" : options.length ? "Найдено: " + options.length : "Ничего не найдено";
  }
  function lookUp() {
    var text = input.value.trim(), mine = ++asked;
    if (text.length < 2) { close(); status.textContent = ""; return; }
    fetch(form.dataset.search + encodeURIComponent(text), { headers: { Accept: "application/json" }, credentials: "same-origin" })
      .then(function (answer) { return answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status))); })
      .then(function (found) { if (mine === asked && document.activeElement === input) show(found); })
      .catch(function () { close(); status.textContent = "Поиск сейчас не отвечает – нажмите Enter."; });
  }
  input.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(lookUp, 180); });
  input.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && !list.hidden) { event.preventDefault(); close(); return; }
    if (list.hidden) return;
    if (event.key === "ArrowDown") { event.preventDefault(); mark(Math.min(active + 1, options.length - 1)); }
    else if (event.key === "ArrowUp") { event.preventDefault(); mark(Math.max(active - 1, 0)); }
    else if (event.key === "Enter" && active >= 0) { event.preventDefault(); location.assign(options[active].dataset.link); }
  });
  input.addEventListener("blur", function () { setTimeout(close, 120); });

  // arrows walk through the results of the page, too
  var page = document.querySelector("[data-hits]");
  if (page) page.addEventListener("keydown", function (event) {
    var step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    var links = tools.all("a.hit", page);
    var next = links[links.indexOf(document.activeElement) + step];
    if (next) { event.preventDefault(); next.focus(); }
  });
})();
