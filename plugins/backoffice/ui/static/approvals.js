// The copy button beside a letter's link; without JavaScript the address is selected by hand.
for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const said = document.querySelector("[data-copied]");
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Ссылка скопирована.";
    } catch {
      said.textContent = "Скопируйте выделенную ссылку сами: Ctrl+C.";
    }
  });
}
