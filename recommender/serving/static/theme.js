// Light or dark, before anything is drawn: what was chosen last, else what the system says.

(() => {
  const root = document.documentElement;
  const known = ["light", "dark"];
  const read = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  if (known.includes(read())) root.dataset.theme = read();
  addEventListener("click", (event) => {
    if (!event.target.closest?.("#theme")) return;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // it lasts as long as the page
    }
    document.dispatchEvent(new CustomEvent("themechange"));
  });
})();
