// Try it: on each method's section a request to edit and send, from the page to a node.
//
// The site that `make run` serves forwards POST /node to the mock node it started, so the page needs no other origin.
// A node that the reader enters is asked by the browser itself; it must allow this page's origin (cors_allow_origins).
// Whatever writes to anything but that mock node asks first. Without this script the command of the section remains.
"use strict";
(() => {
  const PATIENCE = 10; // seconds until an answer is given up; the node may still do what it was asked
  const sections = [...document.querySelectorAll(".rpc-method[data-method]")];
  if (!sections.length) return;
  const base = new URL(JSON.parse(document.getElementById("__config").textContent).base + "/", location.href);
  const facts = { mock: null, effects: new Map(), loaded: null };

  const load = () => (facts.loaded ??= Promise.all([read("assets/console.json"), read("openrpc.json")]).then(
    ([settings, description]) => {
      facts.mock = settings?.node ?? null;
      for (const method of description?.methods ?? []) facts.effects.set(method.name, method["x-effect"]);
    }));
  const read = (path) => fetch(new URL(path, base)).then((r) => (r.ok ? r.json() : null)).catch(() => null);

  const element = (tag, attributes = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  };

  function addConsole(section, number) {
    const source = section.querySelector(".request code, .request pre");
    if (!source) return;
    const first = indented(source.textContent.trim());
    const role = section.dataset.role;
    const id = `try-it-${number}`;
    const node = element("input", { id: `${id}-node`, type: "url", required: true, spellcheck: false });
    const token = element("input", { id: `${id}-token`, type: "password", autocomplete: "off" });
    const request = element("textarea", { id: `${id}-request`, value: first, spellcheck: false });
    request.rows = Math.min(24, first.split("\n").length + 1);
    const send = element("button", { type: "submit", className: "md-button md-button--primary", textContent: "Send" });
    const copy = element("button", { type: "button", className: "md-button", textContent: "Copy as curl" });
    const reset = element("button", { type: "button", className: "md-button", textContent: "Put back" });
    const state = element("p", { className: "try-it-state" });
    state.setAttribute("role", "status");
    const answer = element("pre", { className: "try-it-answer", hidden: true, tabIndex: 0 });
    answer.setAttribute("aria-label", "The node's answer");
    const field = (text, input) => element("p", {}, element("label", { htmlFor: input.id, textContent: text }), input);
    const form = element("form", { noValidate: true },
      field("Node", node),
      ...(role && role !== "none" ? [field(`Token (role: ${role})`, token)] : []),
      field("Request", request),
      element("p", { className: "try-it-buttons" }, send, copy, reset),
      state, answer);
    const panel = element("details", { className: "try-it" }, element("summary", { textContent: "Try it" }), form);
    const at = section.querySelector(".try-it-here");
    at ? at.replaceWith(panel) : section.append(panel);

    let running = null;
    panel.addEventListener("toggle", async () => {
      await load();
      node.value ||= facts.mock ?? "http://127.0.0.1:3030";
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (running) return running.abort("stopped");
      running = new AbortController();
      send.textContent = "Stop waiting";
      answer.hidden = true;
      try {
        await ask({ url: node.value.trim(), token: token.value, text: request.value, signal: running }, state, answer);
      } finally {
        running = null;
        send.textContent = "Send";
      }
    });
    request.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    copy.addEventListener("click", async () => {
      const command = curl(node.value.trim(), request.value, token.value);
      try {
        await navigator.clipboard.writeText(command);
        say(state, "Copied.");
      } catch { // the clipboard needs https or a loopback address
        answer.textContent = command;
        answer.hidden = false;
        say(state, "Your browser gives no clipboard to this page. Copy the command below.");
      }
    });
    reset.addEventListener("click", () => {
      request.value = first;
      answer.hidden = true;
      say(state, "");
    });
  }

  async function ask({ url, token, text, signal }, state, answer) {
    await load();
    let body;
    try {
      body = JSON.parse(text);
      if (!body || typeof body !== "object" || Array.isArray(body)) throw new SyntaxError("one JSON object is needed");
    } catch (error) {
      return say(state, `This is no request: ${error.message}. Nothing was sent.`, "bad");
    }
    try {
      if (!/^https?:$/.test(new URL(url).protocol)) throw new TypeError();
    } catch {
      return say(state, "The node's address is no http:// URL. Nothing was sent.", "bad");
    }
    const mock = facts.mock !== null && new URL(url).href === new URL(facts.mock).href;
    const effect = facts.effects.get(body.method) ?? "unknown";
    if (!mock && effect !== "read" && !(await confirmed(body.method, effect, url))) {
      return say(state, "Not sent.");
    }
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const waiting = setInterval(() => say(state, `Waiting for ${url}, ${Math.floor(seconds())} s…`), 1000);
    const patience = setTimeout(() => signal.abort("late"), PATIENCE * 1000);
    say(state, `Waiting for ${url}…`);
    try {
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      const where = mock ? new URL("node", base) : url;
      const reply = await fetch(where, { method: "POST", body: text, headers, signal: signal.signal });
      const said = await reply.text();
      if (mock && reply.status === 502) return say(state, said, "bad");
      answer.textContent = indented(said) || "(an empty body)";
      answer.hidden = false;
      report(state, reply.status, Math.round(seconds() * 1000), said);
    } catch {
      const late = signal.signal.aborted && signal.signal.reason === "late";
      if (late || signal.signal.aborted) {
        const what = late ? `No answer from ${url} after ${PATIENCE} s.` : "You stopped waiting.";
        say(state, effect === "read" ? what : `${what} The node may still have done it: list before you send again.`, "bad");
      } else {
        say(state, `No answer from ${url} that this page may read: the node is down, or it does not allow this page's `
          + "origin (cors_allow_origins in its default.toml). The command that “Copy as curl” gives needs no such leave.", "bad");
      }
    } finally {
      clearInterval(waiting);
      clearTimeout(patience);
    }
  }

  function report(state, status, milliseconds, said) {
    let code = null;
    try {
      code = JSON.parse(said).error?.code ?? null;
    } catch { /* the answer is shown as it came */ }
    say(state, `HTTP ${status}, ${milliseconds} ms` + (code === null ? "" : `, error ${code}: `), code === null ? "good" : "bad");
    if (code !== null) {
      const anchor = `error-${Math.abs(code)}`;
      const here = document.getElementById(anchor);
      state.append(element("a", {
        href: here ? `#${anchor}` : new URL(`rpc-errors/#${anchor}`, base).href,
        textContent: "what it means and what to do",
      }));
    }
  }

  function say(state, text, kind = "") {
    state.className = `try-it-state ${kind}`;
    state.textContent = text;
  }

  function confirmed(method, effect, url) {
    const destroys = effect === "destructive";
    const what = { write: "writes", destructive: "destroys", unknown: "may write" }[effect];
    const typed = element("input", { type: "text", spellcheck: false, autocomplete: "off" });
    typed.setAttribute("aria-label", "The method's name");
    const cancel = element("button", { value: "", className: "md-button", textContent: "Cancel", autofocus: true });
    const go = element("button", { value: "send", className: "md-button md-button--primary", textContent: "Send it" });
    go.disabled = destroys;
    typed.addEventListener("input", () => (go.disabled = typed.value !== method));
    typed.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
    const dialog = element("dialog", { className: "try-it-ask" }, element("form", { method: "dialog" },
      element("p", {}, element("strong", { textContent: `${method} ${what}.` })),
      element("p", { textContent: `${url} is not the mock node of this site. What you send there is not undone here.` }),
      ...(destroys ? [element("p", {}, "Type the method's name to go on: ", typed)] : []),
      element("p", { className: "try-it-buttons" }, cancel, go)));
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((settle) => dialog.addEventListener("close", () => {
      settle(dialog.returnValue === "send");
      dialog.remove();
    }));
  }

  // The token stays out of the command: a shell keeps what it ran.
  function curl(url, text, token) {
    const quoted = (value) => `'${value.replaceAll("'", String.raw`'\''`)}'`;
    const bearer = token ? ` \\\n  -H "Authorization: Bearer $TOKEN"` : "";
    return `curl -sS --max-time ${PATIENCE} ${quoted(url)}${bearer} \\\n  --data-binary ${quoted(text)}`;
  }

  // Indents JSON text without reading its numbers: the node's reach 2^64 - 1, a browser's 2^53.
  function indented(text) {
    try {
      JSON.parse(text);
    } catch {
      return text;
    }
    let depth = 0;
    let out = "";
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
    tokens.forEach((token, i) => {
      const line = "\n" + "  ".repeat(depth);
      if (token === "{" || token === "[") {
        out += token;
        if (tokens[i + 1] !== "}" && tokens[i + 1] !== "]") out += "\n" + "  ".repeat(++depth);
        else depth += 1;
      } else if (token === "}" || token === "]") {
        depth -= 1;
        out += (/[{[]$/.test(out) ? "" : "\n" + "  ".repeat(depth)) + token;
      } else if (token === ",") out += token + line;
      else out += token === ":" ? ": " : token;
    });
    return out;
  }

  sections.forEach(addConsole);
})();
