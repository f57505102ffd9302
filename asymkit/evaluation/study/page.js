// What this page does with the study embedded above: deal the pictures to a person, show them, keep the answers, save them.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const byId = (name) => document.getElementById(name);
  const timed = study.protocol !== "mos";
  const COLUMNS = ["study", "protocol", "person", "trial", "method", "image", "real", "side", "question", "answer",
    "shown_ms", "answer_ms", "width_px", "time"];
  const GRADES = ["Bad", "Poor", "Fair", "Good", "Excellent"];
  const ASKED = {
    correctness: "Correctness: does the picture show what the input asks for?",
    realness: "Realness: does the picture as a whole look real?",
    richness: "Richness: is the picture rich in detail?",
  };

  // ---- what is kept

  const named = (new URLSearchParams(location.search).get("person") || "").replace(/[^\w.-]/g, "").slice(0, 40);
  const KEY = "asymkit-study:" + study.id + ":" + named;
  const anyone = () => Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const fresh = () => ({ person: named || anyone(), place: 0, rows: [], saved: false });
  let kept = true;
  let state = fresh();
  try {
    state = JSON.parse(localStorage.getItem(KEY)) || state;
  } catch (error) {
    kept = false;
  }
  let trials = plan(study, state.person);

  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify(state));
    } catch (error) {
      kept = false;
    }
    byId("unkept").hidden = kept;
  }

  function csv() {
    const cell = (value) => (/[",\r\n]/.test(value) ? '"' + String(value).replaceAll('"', '""') + '"' : String(value));
    return [COLUMNS, ...state.rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
  }

  function record(trial, answers, shown, since) {
    const number = state.place + 1 - study.practice;
    const width = Math.round(document.querySelector("#stage .made").getBoundingClientRect().width);
    const timing = [Math.round(shown), Math.round(performance.now() - since), width, new Date().toISOString()];
    if (!trial.practice) {
      for (const [question, answer] of Object.entries(answers)) {
        state.rows.push([study.id, study.protocol, state.person, number, trial.method, trial.image[0],
          trial.real ? trial.real[0] : "", trial.side || "", question, answer, ...timing]);
      }
    }
    state.place += 1;
    state.saved = false;
    keep();
  }

  // ---- what is shown

  const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const answered = () => Math.max(0, state.place - study.practice);

  function show(name) {
    const seconds = study.seconds + (study.seconds === 1 ? " second" : " seconds");
    const values = { answered: answered(), total: trials.length - study.practice, practice: study.practice, seconds,
      minutes: study.minutes + (study.minutes === 1 ? " minute" : " minutes"), id: study.id, seed: study.seed, person: state.person };
    for (const place of document.querySelectorAll("[data-value]")) place.textContent = values[place.dataset.value];
    for (const section of document.querySelectorAll("section")) section.hidden = section.id !== name;
    scrollTo(0, 0);
  }

  async function picture(kind, image, caption) {
    const figure = document.createElement("figure");
    const box = document.createElement("div");
    const pixels = new Image();
    pixels.alt = "";
    pixels.src = image[1];
    box.className = "box " + kind;
    box.append(pixels);
    figure.append(box, Object.assign(document.createElement("figcaption"), { textContent: caption || "" }));
    await pixels.decode(); // else the time would begin before there is something to see
    return figure;
  }

  function pictures(trial) {
    if (study.protocol === "pair") {
      const both = [picture("made", trial.image), picture("real", trial.real)];
      return Promise.all(trial.side === "left" ? both : both.reverse());
    }
    const made = picture("made", trial.image, trial.input && "picture");
    return Promise.all(trial.input ? [picture("input", trial.input, "input"), made] : [made]);
  }

  let running = new AbortController(); // of the call of play() whose answers count

  const plain = (event) => !(event.repeat || event.ctrlKey || event.altKey || event.metaKey);

  function pressed(buttons, keys) { // the place of the button, or of its key
    return new Promise((done) => {
      const answer = new AbortController();
      const end = (place) => {
        answer.abort();
        done(place);
      };
      running.signal.addEventListener("abort", () => answer.abort(), { signal: answer.signal });
      document.addEventListener("keydown", (event) => {
        const place = keys.indexOf(event.key);
        if (place < 0 || !plain(event)) return;
        event.preventDefault();
        end(place);
      }, { signal: answer.signal });
      buttons.forEach((button, place) => button.addEventListener("click", () => end(place), { signal: answer.signal }));
    });
  }

  async function chosen(trial) { // real or fake
    const pair = study.protocol === "pair";
    byId("question").textContent = pair ? "Which one was real?" : "Was it real or fake?";
    [byId("first").textContent, byId("second").textContent] = pair ? ["← Left", "Right →"] : ["← Real", "Fake →"];
    byId("choices").hidden = false;
    const place = await pressed([byId("first"), byId("second")], ["ArrowLeft", "ArrowRight"]);
    byId("choices").hidden = true;
    if (!pair) return place === 0 ? "real" : "fake";
    return ["left", "right"][place] === trial.side ? "real" : "fake"; // what the made picture was taken for
  }

  async function told(trial, answer) {
    const right = answer === (trial.method === "real" ? "real" : "fake");
    const captions = [...document.querySelectorAll("#stage figcaption")];
    const kinds = study.protocol === "pair" ? (trial.side === "left" ? ["fake", "real"] : ["real", "fake"]) : [trial.method === "real" ? "real" : "fake"];
    captions.forEach((caption, place) => { caption.textContent = kinds[place]; });
    byId("stage").classList.add("shown");
    byId("question").textContent = "";
    const words = study.protocol === "pair" ? "the " + (trial.side === "left" ? "right" : "left") + " picture is real." : "the picture is " + kinds[0] + ".";
    const line = byId("feedback").firstElementChild;
    line.textContent = (right ? "Right: " : "No, ") + words;
    line.className = "question " + (right ? "right" : "wrong");
    byId("feedback").hidden = byId("go-on").hidden = byId("next").disabled = false;
    byId("next").focus();
    await pressed([byId("next")], []);
  }

  async function rated() {
    const groups = study.questions.map((name) => {
      const group = document.createElement("fieldset");
      const scale = Object.assign(document.createElement("div"), { className: "scale" });
      GRADES.forEach((grade, place) => {
        const label = document.createElement("label");
        const shown = document.createElement("span");
        shown.append(String(place + 1), Object.assign(document.createElement("small"), { textContent: grade }));
        label.append(Object.assign(document.createElement("input"), { type: "radio", name, value: place + 1 }), shown);
        scale.append(label);
      });
      group.append(Object.assign(document.createElement("legend"), { textContent: ASKED[name] }), scale);
      return group;
    });
    const value = (group) => group.querySelector(":checked")?.value;
    const complete = () => { byId("next").disabled = !groups.every(value); };
    const onKey = (event) => {
      if (!plain(event)) return;
      const inside = groups.find((group) => group.contains(document.activeElement));
      const group = inside || groups.find((each) => !value(each));
      if (/^[1-5]$/.test(event.key) && group) {
        group.querySelectorAll("input")[event.key - 1].checked = true;
        complete();
        const open = groups.find((each) => !value(each));
        (open ? open.querySelector("input") : byId("next")).focus();
      } else if (event.key === "Enter" && !byId("next").disabled && inside) {
        event.preventDefault();
        byId("next").click();
      }
    };
    byId("question").textContent = "";
    byId("ratings").replaceChildren(...groups);
    byId("ratings").hidden = byId("go-on").hidden = false;
    byId("ratings").onchange = complete;
    complete();
    groups[0].querySelector("input").focus({ preventScroll: true });
    const over = new AbortController();
    running.signal.addEventListener("abort", () => over.abort());
    document.addEventListener("keydown", onKey, { signal: over.signal });
    await pressed([byId("next")], []);
    over.abort();
    return Object.fromEntries(groups.map((group, place) => [study.questions[place], value(group)]));
  }

  async function play() {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    while (state.place < trials.length) {
      const trial = trials[state.place];
      const counted = answered();
      show("trial");
      byId("number").textContent = trial.practice ? "Practice " + (state.place + 1) + " of " + study.practice
        : "Trial " + (counted + 1) + " of " + (trials.length - study.practice);
      byId("progress").value = trial.practice ? 0 : counted / (trials.length - study.practice);
      for (const name of ["choices", "ratings", "feedback", "go-on"]) byId(name).hidden = true;
      byId("question").textContent = "";
      const stage = byId("stage");
      stage.classList.remove("shown");
      stage.replaceChildren(...await pictures(trial));
      if (timed) await wait(600); // a moment to look at the cross
      await frame();
      if (signal.aborted) return;
      stage.classList.add("shown");
      await frame();
      const begin = performance.now();
      let shown = 0;
      let answers;
      if (timed) {
        await wait(study.seconds * 1000);
        if (signal.aborted) return;
        stage.classList.remove("shown");
        shown = performance.now() - begin;
        const asked = performance.now();
        answers = { [study.questions[0]]: await chosen(trial) };
        if (signal.aborted) return;
        record(trial, answers, shown, asked);
        if (trial.practice) await told(trial, answers[study.questions[0]]);
      } else {
        answers = await rated();
        if (signal.aborted) return;
        record(trial, answers, performance.now() - begin, begin);
      }
      if (signal.aborted) return;
      if (trial.practice && state.place === study.practice) {
        show("counted");
        byId("continue").focus();
        return;
      }
    }
    end();
  }

  function end() {
    running.abort();
    show("end");
    const over = state.place === trials.length;
    byId("thanks").textContent = over ? "Thank you" : "You have stopped";
    byId("back").hidden = over;
    byId("please").hidden = byId("save").hidden = !state.rows.length;
    byId("text").value = csv();
    byId("saved").hidden = true;
    byId("another").hidden = Boolean(named) || !state.saved;
    (state.rows.length ? byId("save") : byId("back")).focus();
  }

  function start() {
    const before = state.place > 0;
    show("start");
    byId("resumed").hidden = !before;
    byId("anew").hidden = !before || Boolean(named);
    byId("begin").textContent = before ? "Go on" : "Start";
    byId("begin").focus({ preventScroll: true });
  }

  function another() {
    state = fresh();
    trials = plan(study, state.person);
    keep();
    start();
  }

  byId("begin").onclick = byId("continue").onclick = byId("back").onclick = play;
  byId("stop").onclick = end;
  byId("another").onclick = another;
  byId("anew").onclick = () => {
    if (confirm("The answers that this browser has kept are deleted. Start as another person?")) another();
  };
  byId("save").onclick = () => {
    const name = "answers-" + study.id + "-" + state.person + ".csv";
    const link = Object.assign(document.createElement("a"), { download: name });
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    byId("file").textContent = name;
    byId("saved").hidden = false;
    state.saved = true;
    byId("another").hidden = Boolean(named);
    keep();
  };
  addEventListener("beforeunload", (event) => {
    if (!kept && state.rows.length && !state.saved) event.preventDefault();
  });

  const [width, height] = study.box; // as wide as the images are, unless they or the questions below would not fit the screen
  byId("stage").style.setProperty("--width", "min(" + width + "px, " + (timed ? 62 : 36) * width / height + "vh)");
  byId("stage").style.setProperty("--shape", width + " / " + height);
  for (const part of document.querySelectorAll("[data-protocol]")) part.hidden = part.dataset.protocol !== study.protocol;
  for (const part of document.querySelectorAll("[data-inputs]")) part.hidden = !study.inputs.length;
  for (const part of document.querySelectorAll("[data-practice]")) part.hidden = !study.practice !== (part.dataset.practice === "none");
  for (const part of document.querySelectorAll("[data-feedback]")) part.hidden = !timed;
  byId("attributes").replaceChildren(...study.questions.filter((name) => name in ASKED)
    .map((name) => Object.assign(document.createElement("li"), { textContent: ASKED[name] })));
  keep();
  if (state.place === trials.length) end(); else start();
})();
