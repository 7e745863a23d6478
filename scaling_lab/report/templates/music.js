"use strict";
// Draws one tune of each size as notation, and plays it by oscillators: no sound file, no network.
(() => {
  const tunes = JSON.parse(document.getElementById("tunes").textContent);
  const section = document.getElementById("music");
  const articles = [...section.querySelectorAll(".tune")];
  const buttons = [...section.querySelectorAll(".choice button")];
  const tuneOf = (article) => tunes[article.dataset.size][chosen];
  const PAPER_WIDTH = 660;
  let chosen = 0;

  // Notation

  // Lines are as long as the window is wide, or the paper.
  function notate(article, room) {
    const { drawn: abc, given } = tuneOf(article);
    const place = article.querySelector(".notation");
    const width = Math.max((room ?? place.clientWidth) - 24, 240);
    const look = { staffwidth: width, paddingleft: 0, paddingright: 0, paddingtop: 4, paddingbottom: 24 };
    const wrap = { minSpacing: 1.4, maxSpacing: 2.8, preferredMeasuresPerLine: width < 500 ? 3 : 8 };
    try {
      // What a model wrote may be no music: with lines of a chosen length abcjs needs whole bars.
      shade(ABCJS.renderAbc(place, abc, { ...look, wrap })[0], given);
    } catch {
      try {
        shade(ABCJS.renderAbc(place, abc, look)[0], given);
      } catch {
        place.replaceChildren("This text can't be drawn as notation.");
      }
    }
  }

  // Pale: what the model was given.
  function shade(drawn, given) {
    for (const element of (drawn?.lines ?? []).flatMap((line) => line.staff ?? []).flatMap((staff) => staff.voices.flat())) {
      if (element.startChar < given) element.abselem?.elemset?.forEach((shape) => shape.classList.add("given"));
    }
  }

  function show() {
    stop();
    for (const article of articles) {
      const { abc, ended, notes } = tuneOf(article);
      article.querySelector("code").textContent = abc;
      const length = notes.length === 0 ? "No notes" : notes.length === 1 ? "1 note" : `${notes.length} notes as played`;
      article.querySelector(".told").textContent = `${length}; ${ended ? "stopped by itself" : "cut off, it had not stopped"}`;
      article.querySelector(".play").disabled = notes.length === 0;
      notate(article);
    }
  }

  buttons.forEach((button) => {
    button.addEventListener("click", () => {
      chosen = Number(button.dataset.tune);
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      show();
    });
  });

  // Only a new width asks for new lines; notation changes the height by itself.
  let width = section.clientWidth;
  new ResizeObserver(() => {
    if (section.clientWidth === width) return;
    width = section.clientWidth;
    articles.forEach((article) => notate(article));
  }).observe(section);
  addEventListener("beforeprint", () => articles.forEach((article) => notate(article, PAPER_WIDTH)));
  addEventListener("afterprint", () => articles.forEach((article) => notate(article)));

  // Sound

  const AHEAD = 1.5; // seconds of notes that the browser is told of at a time
  let context = null;
  let playing = null;

  // A plucked string, roughly: two oscillators, dying away, and let go at the note's end.
  function sound(out, begin, length, pitch) {
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const end = begin + Math.max(length, 0.06);
    const loudness = new GainNode(context, { gain: 0 });
    loudness.gain.setValueAtTime(0, begin);
    loudness.gain.linearRampToValueAtTime(0.22, begin + 0.008);
    loudness.gain.setTargetAtTime(0.05, begin + 0.008, 0.35);
    loudness.gain.setTargetAtTime(0, end - 0.03, 0.03);
    loudness.connect(out);
    for (const [type, times, share] of [["triangle", 1, 1], ["sine", 2, 0.25]]) {
      const tone = new OscillatorNode(context, { type, frequency: times * frequency });
      const part = new GainNode(context, { gain: share });
      tone.connect(part).connect(loudness);
      tone.start(begin);
      tone.stop(end + 0.2);
    }
  }

  function play(article) {
    stop();
    context ??= new AudioContext();
    context.resume();
    const { notes } = tuneOf(article);
    // Chords must not clip.
    const out = new DynamicsCompressorNode(context);
    out.connect(context.destination);
    const last = Math.max(...notes.map(([onset, length]) => onset + length)) / 1000;
    playing = { article, out, begin: context.currentTime + 0.1, next: 0, last };
    const button = article.querySelector(".play");
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Stop";
    playing.timer = setInterval(() => goOn(notes), 200);
    goOn(notes);
  }

  function goOn(notes) {
    const now = context.currentTime - playing.begin;
    while (playing.next < notes.length && notes[playing.next][0] / 1000 < now + AHEAD) {
      const [onset, length, pitch] = notes[playing.next++];
      // A timer that came late must not make the browser play everything it missed at once.
      if (onset / 1000 > now - 0.1) sound(playing.out, playing.begin + onset / 1000, length / 1000, pitch);
    }
    playing.article.style.setProperty("--played", `${Math.min(100, Math.max(0, (100 * now) / playing.last))}%`);
    if (now > playing.last + 0.3) stop();
  }

  function stop() {
    if (!playing) return;
    clearInterval(playing.timer);
    playing.out.disconnect();
    playing.article.style.removeProperty("--played");
    const button = playing.article.querySelector(".play");
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Play";
    playing = null;
  }

  for (const article of articles) {
    article.querySelector(".play").addEventListener("click", () => (playing?.article === article ? stop() : play(article)));
  }
  show();
})();
