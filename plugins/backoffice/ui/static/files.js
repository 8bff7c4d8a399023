// Upload with its progress; without this script the form itself sends the file.
(function () {
  "use strict";
  if (window.backofficeFiles) return; // the part may stand on a page twice
  window.backofficeFiles = true;

  function size(bytes) {
    return bytes < 1048576 ? Math.round(bytes / 1024) + " КБ" : (bytes / 1048576).toFixed(1).replace(".", ",") + " МБ";
  }

  Array.from(document.querySelectorAll("form[data-upload]")).forEach(function (form) {
    var input = form.querySelector("input[type=file]");
    var button = form.querySelector("button[type=submit]");
    var error = form.querySelector("[data-upload-error]");
    var course = form.querySelector("[data-upload-course]");
    var bar = course.querySelector("progress");
    var said = form.querySelector("[data-upload-said]");
    var busy = false;

    function refuse(text) {
      busy = false;
      course.hidden = true;
      button.removeAttribute("aria-disabled");
      button.classList.remove("btn-loading");
      error.setAttribute("role", "alert");
      error.classList.add("d-block");
      error.textContent = text;
      input.classList.add("is-invalid");
      input.setAttribute("aria-invalid", "true");
      input.focus();
    }
    function clean() {
      error.textContent = "";
      error.classList.remove("d-block");
      input.classList.remove("is-invalid");
      input.removeAttribute("aria-invalid");
    }
    function check(file) {
      if (!file) return "Выберите файл.";
      if (file.size === 0) return "Файл пустой. Выберите файл с содержимым.";
      if (file.size > Number(form.dataset.limit) * 1048576) {
        return "Файл больше " + form.dataset.limit + " МБ. Уменьшите его или разделите на части.";
      }
      return "";
    }

    input.addEventListener("change", function () {
      var wrong = input.files.length ? check(input.files[0]) : "";
      if (wrong) refuse(wrong); else clean();
    });
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      event.stopPropagation(); // the page's own "sent once" must not hold the button for ever
      if (busy) return;
      var file = input.files[0];
      var wrong = check(file);
      if (wrong) { refuse(wrong); return; }
      clean();
      busy = true;
      button.setAttribute("aria-disabled", "true");
      course.hidden = false;
      bar.value = 0;
      said.textContent = "Загружается " + file.name + ", " + size(file.size);
      var data = new FormData();
      data.append("file", file);
      var request = new XMLHttpRequest();
      request.open("POST", form.dataset.upload);
      request.setRequestHeader("X-CSRF-Token", form.querySelector("input[name=csrf]").value);
      request.setRequestHeader("Accept", "application/json");
      request.upload.addEventListener("progress", function (sent) {
        if (!sent.lengthComputable) return;
        bar.value = Math.round(100 * sent.loaded / sent.total);
        if (sent.loaded === sent.total) said.textContent = "Файл получен, проверяется";
      });
      request.addEventListener("load", function () {
        var answer = {};
        try { answer = JSON.parse(request.responseText); } catch (problem) { /* said below */ }
        if (request.status === 201) {
          said.textContent = answer.number ? "Загружено: версия " + answer.number : "Получено";
          if ("uploadNext" in form.dataset && answer.link) location.href = answer.link; else location.reload();
        } else if (request.status === 401) {
          refuse("Вход закончился. Войдите в другой вкладке и нажмите «Загрузить» ещё раз.");
        } else {
          refuse(answer.error || "Файл не загружен. Повторите через минуту.");
        }
      });
      request.addEventListener("error", function () { refuse("Нет связи с сервером. Файл не загружен, повторите."); });
      request.send(data);
    });
  });
})();
