// Behind «@» a list of people opens; without this script the name is simply typed.
(function () {
  "use strict";
  var form = document.querySelector("form[data-talk]");
  if (!form) return;
  var input = form.querySelector("textarea");
  var list = form.querySelector("[data-talk-list]");
  var hidden = form.querySelector("[data-talk-mentions]");
  var status = form.querySelector("[data-talk-status]");
  var people = null, asking = false, items = [], active = -1, from = -1;
  var chosen = []; // [{id, name}] whose names were put in from the list

  function plain(text) { return text.toLowerCase().replace(/ё/g, "е"); }

  // what stands between the last «@» of this line and the caret, or null
  function typed() {
    var before = input.value.slice(0, input.selectionStart);
    var found = /(^|[^\wа-яё])@([\wа-яё-]*)$/i.exec(before);
    if (!found || input.selectionStart !== input.selectionEnd) return null;
    from = before.length - found[2].length - 1;
    return found[2];
  }
  function close() {
    if (list.hidden) return;
    list.hidden = true;
    active = -1;
    ["role", "aria-expanded", "aria-controls", "aria-autocomplete", "aria-activedescendant"].forEach(function (name) {
      input.removeAttribute(name);
    });
  }
  function mark(index) {
    active = index;
    Array.from(list.children).forEach(function (option, at) {
      option.setAttribute("aria-selected", at === index ? "true" : "false");
      if (at === index) {
        input.setAttribute("aria-activedescendant", option.id);
        option.scrollIntoView({ block: "nearest" });
      }
    });
  }
  function choose(index) {
    var one = items[index];
    var after = input.value.slice(input.selectionStart);
    var put = "@" + one.name + (/^\s/.test(after) ? "" : " ");
    input.value = input.value.slice(0, from) + put + after;
    input.selectionStart = input.selectionEnd = from + put.length;
    chosen.push(one);
    status.textContent = "Выбрано: " + one.name;
    close();
    input.focus();
  }
  function show(found) {
    items = found.slice(0, 8);
    list.textContent = "";
    items.forEach(function (one, at) {
      var option = document.createElement("li");
      option.id = list.id + "-" + at;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.className = "lookup-option";
      var name = document.createElement("span");
      name.textContent = one.name;
      option.appendChild(name);
      var hint = document.createElement("small");
      hint.textContent = [one.full_name, one.post, one.department].filter(Boolean).join(", ");
      option.appendChild(hint);
      option.addEventListener("mousedown", function (event) { event.preventDefault(); choose(at); });
      list.appendChild(option);
    });
    if (!items.length) { close(); return; }
    list.hidden = false;
    input.setAttribute("role", "combobox"); // only while the list is open: otherwise it is a plain text box
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-controls", list.id);
    input.setAttribute("aria-expanded", "true");
    status.textContent = "Людей в списке: " + items.length + ". Стрелки – выбрать, Enter – позвать, Escape – закрыть.";
    mark(0);
  }
  function suggest() {
    var text = typed();
    if (text === null) { close(); return; }
    if (people === null) {
      if (asking) return;
      asking = true;
      fetch(form.dataset.people, { headers: { Accept: "application/json" }, credentials: "same-origin" })
        .then(function (answer) { return answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status))); })
        .then(function (found) { people = found; suggest(); })
        .catch(function () { asking = false; status.textContent = "Список людей не загрузился: напишите фамилию сами."; });
      return;
    }
    var start = plain(text);
    show(people.filter(function (one) {
      return plain(one.full_name).split(" ").some(function (part) { return part.indexOf(start) === 0; });
    }));
  }
  input.addEventListener("input", suggest);
  input.addEventListener("click", suggest);
  input.addEventListener("keydown", function (event) {
    if (list.hidden) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
      return;
    }
    if (event.key === "ArrowDown") { event.preventDefault(); mark((active + 1) % items.length); }
    else if (event.key === "ArrowUp") { event.preventDefault(); mark((active + items.length - 1) % items.length); }
    else if ((event.key === "Enter" || event.key === "Tab") && active >= 0) { event.preventDefault(); choose(active); }
    else if (event.key === "Escape") { event.preventDefault(); close(); }
  });
  input.addEventListener("blur", function () { setTimeout(close, 120); });
  form.addEventListener("submit", function () {
    // who was chosen and whose name was deleted afterwards is not called
    hidden.value = chosen.filter(function (one) { return input.value.indexOf("@" + one.name) >= 0; })
      .map(function (one) { return one.id; })
      .filter(function (id, at, all) { return all.indexOf(id) === at; }).join(",");
  });
})();
