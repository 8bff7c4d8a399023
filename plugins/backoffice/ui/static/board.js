// The board: cards are dragged or moved by their menu without loading the page; what is unmet is said before, a
// refused card goes back, a move can be taken back for ten seconds. Without this file the menu's form does the move.
(function () {
  "use strict";
  var board = document.querySelector("[data-board]");
  if (!board || !window.backoffice) return;
  var tools = window.backoffice;
  var root = board.dataset.board, funnel = board.dataset.funnel;
  var rubles = new Intl.NumberFormat("ru-RU", { style: "currency", currency: "RUB", minimumFractionDigits: 0, maximumFractionDigits: 2 });
  var dragged = null;

  function columnOf(code) {
    return tools.all("[data-stage]", board).find(function (one) { return one.dataset.stage === code; });
  }
  function titleOf(card) { return card.querySelector(".dealcard-title").textContent; }
  function api(card, rest) { return root + "/api/deals/" + card.dataset.card + rest; }

  // --- numbers in the heads -------------------------------------------------------------------------------
  function count(column, card, sign) {
    column.dataset.count = String(Number(column.dataset.count) + sign);
    column.dataset.sum = String(Math.round((Number(column.dataset.sum) + sign * Number(card.dataset.amount)) * 100) / 100);
    column.querySelector("[data-column-sum]").textContent = rubles.format(Number(column.dataset.sum));
    tools.all("[data-count-of]").forEach(function (badge) {
      if (badge.dataset.countOf === column.dataset.stage) badge.lastChild.textContent = column.dataset.count;
    });
  }
  function put(card, column, before) {
    var from = card.closest("[data-stage]");
    count(from, card, -1);
    count(column, card, 1);
    var cards = column.querySelector("[data-cards]");
    cards.insertBefore(card, before && before.parentNode === cards ? before : cards.firstChild);
    var empty = cards.querySelector("[data-empty]");
    if (empty) empty.remove();
  }

  // --- one move -------------------------------------------------------------------------------------------
  function about(row) {
    var lost = row.stage.kind === "lost";
    return {
      title: "Перевести на «" + row.stage.title + "»?",
      text: row.closes ? "Сделка закончится: " + (lost ? "проиграна. Открытые задачи будут сняты." : "выиграна.") : "",
      items: row.warnings,
      yes: "Да, «" + row.stage.title + "»",
      tone: lost ? "btn-danger" : "btn-primary"
    };
  }
  // resolves to true when the move may go on
  function mayGo(row) {
    if (!row) return Promise.reject(new Error("На эту стадию перевести нельзя. Обновите страницу."));
    if (!row.may) return Promise.reject(new Error("Нет прав: переводить сделку может её ответственный, его руководитель или администратор."));
    if (row.blocks.length) {
      var refused = new Error("Нельзя перевести на «" + row.stage.title + "»");
      refused.missing = row.blocks;
      return Promise.reject(refused);
    }
    if (!row.closes && !row.warnings.length) return Promise.resolve(true);
    return tools.dialog(about(row));
  }
  function refused(error) {
    if (error.missing && error.missing.length) {
      var title = error.message.split(":")[0];
      return tools.dialog({ title: title, text: "Не выполнено:", items: error.missing, no: "Понятно" });
    }
    return tools.dialog({ title: "Сделка осталась на месте", text: error.message, no: "Понятно" });
  }
  function fresh(card) {
    var held = card.contains(document.activeElement);
    return fetch(root + "/board/" + funnel + "/cards/" + card.dataset.card, { credentials: "same-origin" })
      .then(function (answer) { return answer.ok && !answer.redirected ? answer.text() : Promise.reject(new Error()); })
      .then(function (html) {
        var one = new DOMParser().parseFromString(html, "text/html").querySelector("[data-card]");
        card.replaceWith(one);
        wire(one);
        if (held) one.querySelector("summary, a").focus();
        return one;
      })
      .catch(function () { return card; }); // moved all the same: the page shows it when it is loaded next
  }
  function move(card, target, quiet) {
    var origin = card.closest("[data-stage]"), next = card.nextElementSibling, seen = card.dataset.stageCode;
    if (origin === target || card.getAttribute("aria-busy")) return;
    var form = card.querySelector("[data-move]");
    var held = card.contains(document.activeElement);
    card.setAttribute("aria-busy", "true");
    put(card, target);
    function back() {
      card.removeAttribute("aria-busy");
      put(card, origin, next);
      if (form) form.querySelector("select").value = seen;
    }
    var asked = quiet ? Promise.resolve(true) : tools.ask("GET", api(card, "/moves")).then(function (rows) {
      return mayGo(rows.find(function (one) { return one.stage.code === target.dataset.stage; }));
    });
    asked.then(function (goes) {
      if (!goes) { back(); if (held) card.querySelector("summary").focus(); return null; }
      return tools.ask("POST", api(card, "/stage"), { stage: target.dataset.stage, seen_stage: seen }).then(function () {
        card.removeAttribute("aria-busy");
        card.dataset.stageCode = target.dataset.stage;
        if (held) card.querySelector("a").focus();
        return fresh(card).then(function (one) { said(one, origin, target, quiet); });
      });
    }).catch(function (error) {
      back();
      return refused(error).then(function () { if (held) card.querySelector("summary, a").focus(); });
    });
  }
  function said(card, origin, target, quiet) {
    if (quiet) { tools.toast("Сделка «" + titleOf(card) + "» возвращена на «" + target.dataset.title + "»."); return; }
    tools.toast("Сделка «" + titleOf(card) + "» переведена на стадию «" + target.dataset.title + "».", {
      title: "Вернуть", run: function () { move(document.querySelector('[data-card="' + card.dataset.card + '"]') || card, origin, true); }
    }, 10);
  }

  // --- the menu of a card (keyboard, touch) and dragging it ----------------------------------------------
  function wire(card) {
    if (!card.querySelector("[data-move]")) return;
    card.draggable = true;
    card.addEventListener("dragstart", function (event) {
      dragged = card;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", titleOf(card));
      card.classList.add("is-dragged");
    });
    card.addEventListener("dragend", function () {
      dragged = null;
      card.classList.remove("is-dragged");
      tools.all(".is-target", board).forEach(function (column) { column.classList.remove("is-target"); });
    });
  }
  tools.all("[data-card]", board).forEach(wire);
  board.addEventListener("submit", function (event) {
    if (!event.target.matches("[data-move]")) return;
    event.preventDefault();
    var card = event.target.closest("[data-card]");
    var target = columnOf(event.target.elements.stage.value);
    card.querySelector(".dealcard-move").open = false;
    card.querySelector("summary").focus();
    if (target) move(card, target);
  });
  tools.all("[data-stage]", board).forEach(function (column) {
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
      column.classList.remove("is-target");
      move(dragged, column);
    });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape" || !board.contains(document.activeElement)) return;
    var menu = document.activeElement.closest(".dealcard-move[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });

  // --- «ещё»: the next page of a column below the shown one ----------------------------------------------
  board.addEventListener("click", function (event) {
    var more = event.target.closest("[data-more]");
    if (!more || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    var query = new URLSearchParams(location.search);
    query.delete("stage");
    query.set("page", more.dataset.page);
    var known = tools.all("[data-card]", board).map(function (one) { return one.dataset.card; });
    tools.load(more, more.dataset.more + "?" + query, function (one) {
      return !one.matches("[data-first]") && known.indexOf(one.dataset.card) < 0; // a card moved meanwhile is here already
    });
  });
  board.addEventListener("loaded", function (event) {
    event.detail.forEach(function (one) { if (one.matches("[data-card]")) wire(one); });
  });

  // the phone shows one stage; bring its tab into view
  var current = document.querySelector("[data-stage-tabs] [aria-current]");
  if (current) current.scrollIntoView({ block: "nearest", inline: "center" });
})();
