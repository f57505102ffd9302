"use strict";
// The trials of a person in their order: a function of the study, its seed and the person alone.

function generator(text) { // mulberry32, seeded with the text's FNV-1a hash
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) state = Math.imul(state ^ byte, 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function plan(study, person) {
  const random = generator(study.seed + ":" + person);
  const shuffled = (items) => {
    const order = [...items];
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  };
  const deck = (size) => ({ order: shuffled(Array(size).keys()), place: 0, start: 0 });
  const draw = (cards) => { // from the beginning again where there are too few, but never what practice has shown
    if (cards.place === cards.order.length) cards.place = cards.start;
    return cards.order[cards.place++];
  };
  const shared = study.matched ? deck(study.fakes[0].length) : null;
  const real = shared || deck(study.real.length);
  const fakes = study.fakes.map((images) => shared || deck(images.length));
  const decks = [real, ...fakes];
  const realTrial = () => {
    const place = draw(real);
    return { method: "real", image: study.real[place], input: study.inputs[place] };
  };
  const fakeTrial = (method) => {
    const place = draw(fakes[method]);
    const trial = { method: study.methods[method], image: study.fakes[method][place], input: study.inputs[place] };
    if (study.protocol === "pair") {
      trial.real = study.real[study.matched ? place : draw(real)];
      trial.side = random() < 0.5 ? "left" : "right";
    }
    return trial;
  };
  const methods = study.methods.length;
  const practice = Array.from({ length: study.practice }, (_, number) => {
    if (study.protocol !== "single") return fakeTrial(number % methods);
    return number % 2 ? realTrial() : fakeTrial((number / 2) % methods);
  });
  for (const cards of decks) cards.start = cards.place;
  const rewind = () => { if (study.protocol === "mos") for (const cards of decks) cards.place = cards.start; };
  const several = (count, trial) => shuffled(Array.from({ length: count }, trial));
  const series = study.methods.map((_, method) => (rewind(), several(study.trials, () => fakeTrial(method))));
  rewind();
  for (let left = study.realTrials; left > 0; left -= study.trials) series.push(several(Math.min(left, study.trials), realTrial));
  const counted = [];
  for (let round = 0; round < study.trials; round++) { // every method once in each round
    counted.push(...shuffled(series.filter((trials) => round < trials.length)).map((trials) => trials[round]));
  }
  return [...shuffled(practice).map((trial) => ({ ...trial, practice: true })), ...counted];
}

