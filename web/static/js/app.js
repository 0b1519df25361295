// What the console does in the browser beyond htmx. Every page works without it; nothing here makes
// HTML from strings.
(function () {
  "use strict";

  const root = document.documentElement;
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));

  // on calls handle(element, event) for events on elements that match, present and future.
  function on(type, selector, handle) {
    document.addEventListener(type, (event) => {
      const element = event.target instanceof Element && event.target.closest(selector);
      if (element) handle(element, event);
    });
  }

  // Theme: light, dark, or what the system says.
  function showTheme() {
    const current = root.dataset.theme || "system";
    for (const b of all("[data-set-theme]")) b.setAttribute("aria-pressed", String(b.dataset.setTheme === current));
  }
  on("click", "[data-set-theme]", (button) => {
    const theme = button.dataset.setTheme;
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch (_) {
      // The choice then lasts for this page.
    }
    showTheme();
  });

  // Messages in the corner. The same text is not repeated while it is still there.
  function toast(tone, text) {
    const list = document.getElementById("toasts");
    const template = document.getElementById("toast-template");
    if (!list || !template || all(".toast-text", list).some((t) => t.textContent === text)) return;
    const item = template.content.querySelector(".tone-" + tone).cloneNode(true);
    item.querySelector(".toast-text").textContent = text;
    list.append(item);
    while (list.children.length > 4) list.firstElementChild.remove();
    setTimeout(() => item.remove(), tone === "bad" ? 12000 : 4000);
  }
  on("click", "[data-dismiss]", (button) => button.closest(".toast").remove());

  // Copying.
  async function copy(button) {
    let text = button.dataset.copy;
    if (button.dataset.copyFrom) {
      const source = document.getElementById(button.dataset.copyFrom);
      text = source ? source.dataset.copyText || source.textContent : "";
    }
    try {
      await navigator.clipboard.writeText(text);
    } catch (_) {
      // Without a secure context there is no clipboard: fall back to a selection.
      const area = document.createElement("textarea");
      area.value = text;
      (button.closest("dialog") || document.body).append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      button.focus();
      if (!done) {
        toast("bad", "The browser did not allow copying. Select the text and copy it by hand.");
        return;
      }
    }
    toast("ok", "Copied.");
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  }
  on("click", "[data-copy],[data-copy-from]", copy);
  on("focusin", "[data-select]", (input) => input.select());

  // Passwords in clear on demand.
  on("click", "[data-reveal]", (button) => {
    const input = document.getElementById(button.dataset.reveal);
    if (!input) return;
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    button.title = shown ? "Hide password" : "Show password";
    button.setAttribute("aria-label", button.title);
  });

  // Dialogs. The browser keeps the focus inside and gives it back when one closes.
  on("click", "[data-open]", (opener, event) => {
    const dialog = document.getElementById(opener.dataset.open);
    if (!dialog || !dialog.showModal || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.showModal();
    const first = dialog.querySelector(".dialog-body :is(input:not([type=hidden]),select,textarea)");
    if (first) first.focus();
  });
  on("click", "[data-close]", (button) => button.closest("dialog").close());
  document.addEventListener("mousedown", (event) => {
    // A click on the backdrop lands on the dialog itself, outside of its box.
    const dialog = event.target;
    if (!(dialog instanceof HTMLDialogElement)) return;
    const box = dialog.getBoundingClientRect();
    if (event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom) dialog.close();
  });
  document.addEventListener("close", () => flushPending(), true);

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || (event.submitter && event.submitter.formMethod === "dialog") || event.defaultPrevented) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((f) => delete f.dataset.sent));

  // On a narrow screen the tabs scroll; the current one is brought into view.
  const tab = document.querySelector(".tab[aria-current]");
  if (tab) tab.scrollIntoView({ block: "nearest", inline: "center" });

  // A request that takes long can be broken off; the server then ends what it does for it.
  on("click", "[data-abort]", (button) => window.htmx && window.htmx.trigger(button.closest("form"), "htmx:abort"));

  // Filters apply by themselves: a choice at once, typing after a pause.
  let typing;
  on("change", "[data-filters] :is(select,input:not([type=search],[type=text]))", (input) => input.form.requestSubmit());
  on("input", "[data-filters][hx-get] :is(input[type=search],input[type=text])", (input) => {
    clearTimeout(typing);
    typing = setTimeout(() => input.form.requestSubmit(), 300);
  });
  // Empty values stay out of the address.
  document.addEventListener("formdata", (event) => {
    if (!event.target.matches("[data-filters]")) return;
    for (const [key, value] of Array.from(event.formData)) if (value === "") event.formData.delete(key);
  });

  // Relative times tick. The rules repeat those of web/templates/ui/time.go.
  function relative(then) {
    const seconds = (Date.now() - then) / 1000;
    const d = Math.abs(seconds);
    const whole = seconds < 0 ? Math.round : Math.floor; // what has passed is whole, what is ahead the nearest
    if (d < 10) return "just now";
    if (whole(d / 86400) >= 60) return new Date(then).toISOString().slice(0, 10);
    const text =
      d < 60 ? Math.floor(d) + " s" : whole(d / 60) < 60 ? whole(d / 60) + " min" : whole(d / 3600) < 48 ? whole(d / 3600) + " h" : whole(d / 86400) + " d";
    return seconds < 0 ? "in " + text : text + " ago";
  }
  // So do countdowns; where motion is not wanted, every ten seconds.
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  function remaining(then) {
    const s = Math.ceil((then - Date.now()) / 1000);
    if (s <= 0) return "0 s";
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
    if (s < 48 * 3600) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
    return Math.round(s / 86400) + " d";
  }
  // And how long something has been so.
  function age(then) {
    const s = Math.max(0, Math.floor((Date.now() - then) / 1000));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    return s < 48 * 3600 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " days";
  }
  function tick() {
    if (document.hidden) return;
    for (const t of all("time[data-age]")) {
      const then = Date.parse(t.dateTime);
      if (Number.isNaN(then) || (calm.matches && Math.floor(Date.now() / 1000) % 10)) continue;
      const text = age(then);
      if (t.textContent !== text) t.textContent = text;
    }
    for (const t of all("[data-countdown]")) {
      const then = Date.parse(t.dataset.countdown);
      if (Number.isNaN(then) || (calm.matches && Math.floor(Date.now() / 1000) % 10)) continue;
      const text = remaining(then);
      if (t.textContent !== text) t.textContent = text;
    }
    for (const t of all("time[data-relative]")) {
      const then = Date.parse(t.dateTime);
      if (Number.isNaN(then)) continue;
      const text = relative(then);
      if (t.textContent !== text) t.textContent = text;
    }
  }

  // The navigation drawer of the phone. Without this script it opens as the target of its link.
  const narrow = matchMedia("(max-width: 860px)");
  let drawerOpener;
  function closeDrawer() {
    if (!("drawer" in root.dataset)) return;
    delete root.dataset.drawer;
    if (drawerOpener) drawerOpener.focus();
  }
  on("click", "[data-drawer-open]", (link, event) => {
    event.preventDefault();
    drawerOpener = link;
    root.dataset.drawer = "open";
    const close = document.querySelector("#nav [data-drawer-close]");
    if (close) close.focus();
  });
  on("click", "[data-drawer-close]", (_, event) => {
    if (!("drawer" in root.dataset)) return;
    event.preventDefault();
    closeDrawer();
  });
  on("keydown", "#nav", (nav, event) => {
    if (event.key !== "Tab" || !("drawer" in root.dataset)) return;
    const stops = all("a[href],button", nav).filter((e) => e.offsetParent);
    const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
    if (document.activeElement === edge) {
      event.preventDefault();
      (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
    }
  });
  narrow.addEventListener("change", closeDrawer);

  // Go to a page: Ctrl-K or ⌘K.
  const goTo = () => document.getElementById("goto");
  function openGoTo() {
    const dialog = goTo();
    if (!dialog || dialog.open) return;
    closeDrawer();
    const list = dialog.querySelector(".goto-list");
    const items = [];
    let group = "";
    for (const e of all("#nav .nav-group, #nav a.nav")) {
      if (e.matches(".nav-group")) {
        group = e.textContent;
        continue;
      }
      const link = document.createElement("a");
      link.href = e.getAttribute("href");
      const sub = document.createElement("span");
      sub.className = "sub";
      sub.textContent = group;
      link.append(e.querySelector("svg").cloneNode(true), e.querySelector(".nav-label").textContent, sub);
      const item = document.createElement("li");
      item.append(link);
      items.push(item);
    }
    list.replaceChildren(...items, ...all("[data-more]", list));
    dialog.querySelector("input").value = "";
    dialog.showModal();
    filterGoTo();
  }
  function filterGoTo() {
    const dialog = goTo();
    const words = dialog.querySelector("input").value.toLowerCase().split(/\s+/);
    let found = 0;
    for (const item of all(".goto-list li", dialog)) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((w) => text.includes(w));
      item.firstElementChild.toggleAttribute("data-selected", !item.hidden && found === 0);
      if (!item.hidden) found++;
    }
    dialog.querySelector(".goto-none").hidden = found > 0;
  }
  on("click", "[data-goto]", openGoTo);
  on("input", "#goto input", filterGoTo);
  on("keydown", "#goto", (dialog, event) => {
    const links = all(".goto-list li:not([hidden]) a", dialog);
    const at = links.findIndex((l) => l.hasAttribute("data-selected"));
    if (event.key === "Enter" && event.target.matches("input") && links[at]) {
      event.preventDefault();
      links[at].click();
    } else if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault(); // in a search field it would only clear the text
      dialog.close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!links.length) return;
      const next = (at + (event.key === "ArrowDown" ? 1 : -1) + links.length) % links.length;
      links.forEach((l, i) => l.toggleAttribute("data-selected", i === next));
      links[next].scrollIntoView({ block: "nearest" });
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && goTo()) {
      event.preventDefault();
      openGoTo();
    } else if (event.key === "Escape") {
      closeDrawer();
    }
  });

  // Live: one stream says which topics changed, the regions that follow one fetch themselves again, at
  // most once a second, and never while somebody works in them.
  const refreshed = new WeakMap();
  const pending = new Set();
  let paused = false;
  function busy(region) {
    if (paused) return true;
    const active = document.activeElement;
    const typing = active && region.contains(active) && active.matches("input:not([type=checkbox],[type=radio]),textarea,select");
    return typing || region.querySelector("dialog[open]") !== null || document.querySelector("form[data-sent]") !== null;
  }
  function refresh(region) {
    if (!region.isConnected || !window.htmx) return;
    if (busy(region) || document.hidden) {
      pending.add(region);
      showLive(liveState);
      return;
    }
    const state = refreshed.get(region) || { at: 0, timer: 0 };
    refreshed.set(region, state);
    if (state.timer) return;
    const wait = Math.max(0, state.at + 1000 - Date.now());
    state.timer = setTimeout(() => {
      state.timer = 0;
      if (busy(region)) {
        pending.add(region);
        return;
      }
      state.at = Date.now();
      window.htmx.trigger(region, "live");
    }, wait);
  }
  function flushPending() {
    for (const region of Array.from(pending)) {
      pending.delete(region);
      refresh(region);
    }
  }
  document.addEventListener("focusout", () => setTimeout(flushPending));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    tick();
    flushPending();
  });

  let lostSince = 0;
  let hadStream = false;
  let lostTimer = 0;
  let liveState = "connecting";
  function showLive(now) {
    liveState = now;
    const state = paused && now === "live" ? "paused" : now;
    const words = { connecting: "connecting…", live: "live", paused: pending.size ? "paused, more has come" : "paused", reconnecting: "reconnecting…", lost: "connection lost — " };
    for (const e of all("[data-live-state]")) {
      const word = e.querySelector(".live-word");
      if (e.dataset.liveState === state && (state === "lost" || word.textContent === words[state])) continue;
      e.dataset.liveState = state;
      word.textContent = words[state];
      if (state === "lost") {
        const link = document.createElement("a");
        link.href = "";
        link.textContent = "reload";
        word.append(link);
      }
    }
  }
  on("click", "[data-live-pause]", () => {
    paused = !paused;
    for (const b of all("[data-live-pause]")) b.setAttribute("aria-pressed", String(paused));
    if (!paused) flushPending();
    showLive(liveState);
  });
  function lose() {
    lostSince = lostSince || Date.now();
    clearTimeout(lostTimer);
    lostTimer = setTimeout(() => showLive("lost"), Math.max(0, lostSince + 30000 - Date.now()));
  }
  document.addEventListener("htmx:sseOpen", (event) => {
    const source = event.detail.source;
    const topics = new URL(source.url, location.href).searchParams.get("topics") || "";
    for (const topic of topics.split(",")) {
      source.addEventListener(topic, () => all("[data-live]").filter((r) => r.dataset.live.split(" ").includes(topic)).forEach(refresh));
    }
    clearTimeout(lostTimer);
    lostSince = 0;
    showLive("live");
    // Whatever changed while there was no stream was not announced.
    if (hadStream) all("[data-live]").forEach(refresh);
    hadStream = true;
  });
  document.addEventListener("htmx:sseError", () => {
    if (!lostSince) showLive("reconnecting");
    lose();
  });
  document.addEventListener("htmx:sseClose", (event) => {
    // The server ended the stream: the session no longer holds.
    if (event.detail.type === "message") {
      clearTimeout(lostTimer);
      showLive("lost");
    }
  });

  // What a swap changed: a polled region that is in use is left alone, figures that changed say so.
  const figures = new Map();
  const rowsBefore = new Map();
  const kept = new Map();
  const typed = ":is(input:not([type=checkbox],[type=radio],[type=hidden]),textarea)[name]";
  const rows = (region) => all("tbody tr[id]", region);
  document.addEventListener("htmx:beforeRequest", (event) => {
    const region = event.detail.elt;
    if (region.matches("[data-live]") && busy(region)) {
      event.preventDefault();
      pending.add(region);
    }
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // An error of the console comes as a message of its own, which htmx would otherwise throw away.
    if (event.detail.xhr.getResponseHeader("HX-Retarget") === "#toasts") event.detail.shouldSwap = true;
    const region = event.detail.target;
    const asked = event.detail.requestConfig;
    const byItself = asked.elt === region && region.matches("[data-live]");
    // What the region asked for before a filter chose other rows is no longer wanted.
    if (byItself && asked.path !== region.getAttribute("hx-get")) {
      event.detail.shouldSwap = false;
      return;
    }
    // Somebody began to work in it while the answer was under way: that waits as well.
    if (byItself && busy(region)) {
      event.detail.shouldSwap = false;
      pending.add(region);
      showLive(liveState);
      return;
    }
    for (const f of all("[data-figure]")) figures.set(f.id, f.textContent);
    // What is secret never comes back from the server, nor what was typed since it was asked: that stays here.
    if (event.detail.shouldSwap && region.matches("[data-keeps]")) {
      for (const c of all(typed, region)) {
        const since = asked.formData.has(c.name) && asked.formData.get(c.name) !== c.value;
        if (since || c.value) kept.set(c.name, { value: c.value, since });
      }
    }
    // A filter shows other rows, and not new ones.
    if (byItself) rowsBefore.set(region.id, new Set(rows(region).map((r) => r.id)));
  });
  // At once: nobody gets to see, or to send, the form without what was entered.
  document.addEventListener("htmx:afterSwap", () => {
    for (const c of all("[data-keeps] " + typed)) {
      const before = kept.get(c.name);
      if (before && (before.since || !c.value)) c.value = before.value;
    }
    kept.clear();
  });
  document.addEventListener("htmx:afterSettle", () => {
    tick();
    for (const f of all("[data-figure]")) {
      if (!figures.has(f.id) || figures.get(f.id) === f.textContent) continue;
      f.classList.add("changed");
      f.addEventListener("animationend", () => f.classList.remove("changed"), { once: true });
    }
    figures.clear();
    for (const [id, before] of rowsBefore) {
      const region = document.getElementById(id);
      for (const row of region ? rows(region) : []) {
        if (before.has(row.id)) continue;
        row.classList.add("row-new");
        setTimeout(() => row.classList.remove("row-new"), 4000);
      }
    }
    rowsBefore.clear();
  });
  // Who asked may be gone when the answer comes, replaced by what came meanwhile. From there htmx finds no place
  // for a message of the console, and its events reach nobody but the element itself.
  const askers = new WeakSet();
  document.addEventListener("htmx:beforeRequest", (event) => {
    const asker = event.detail.elt;
    if (askers.has(asker)) return;
    askers.add(asker);
    asker.addEventListener("htmx:beforeOnLoad", (answer) => {
      const xhr = answer.detail.xhr;
      if (answer.target !== asker || asker.isConnected || xhr.getResponseHeader("HX-Retarget") !== "#toasts") return;
      answer.preventDefault();
      window.htmx.swap("#toasts", xhr.responseText, { swapStyle: "beforeend" });
    });
  });
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401) location.reload();
    else if (!event.detail.xhr.getResponseHeader("HX-Retarget")) toast("bad", "This part of the page could not be refreshed (" + status + "). It tries again by itself.");
  });
  document.addEventListener("htmx:sendError", () => toast("bad", "The server cannot be reached. Check your connection."));
  document.addEventListener("htmx:timeout", () => toast("bad", "The server takes too long to answer. Try again."));

  // Once the page is there. The script is deferred, so it is.
  showTheme();
  tick();
  setInterval(tick, 1000);
  for (const e of all("[data-shortcut]")) if (/Mac|iPhone|iPad/.test(navigator.platform)) e.textContent = "⌘K";
  const summary = document.querySelector("[data-focus]");
  if (summary) summary.focus();
})();
