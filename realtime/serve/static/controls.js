// The effects' controls, built from the catalogue; they say what the look is.

const LABELS = { color: "Colour" };

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const title = (name) => LABELS[name] ?? name[0].toUpperCase() + name.slice(1);

// Each kind of option: the control, and how its value is read and set as text. `name` is for screen readers.
const KINDS = {
  share(name) {
    const input = make("input", { type: "range", min: 0, max: 1, step: 0.05, ariaLabel: name });
    const shown = make("output");
    const show = () => (shown.value = `${Math.round(input.value * 100)} %`);
    input.addEventListener("input", show);
    return { parts: [input, shown], read: () => input.value, write: (text) => { input.value = text; show(); } };
  },
  colour(name) {
    const input = make("input", { type: "color", ariaLabel: name });
    return { parts: [input, ""], read: () => input.value, write: (text) => (input.value = text) };
  },
  switch(name) {
    const input = make("input", { type: "checkbox", ariaLabel: name });
    return {
      parts: [input, ""],
      read: () => (input.checked ? "yes" : "no"),
      write: (text) => (input.checked = text === "yes"),
    };
  },
  "share or none"(name) {
    const on = make("input", { type: "checkbox", ariaLabel: `${name}: on` });
    const input = make("input", { type: "range", min: 0, max: 1, step: 0.05, ariaLabel: name });
    const show = () => (input.hidden = !on.checked);
    on.addEventListener("change", show);
    return {
      parts: [make("div", { className: "pair" }, on, input), ""],
      read: () => (on.checked ? input.value : "none"),
      write(text) {
        on.checked = text !== "none";
        if (on.checked) input.value = text;
        show();
      },
    };
  },
  // Shades come from a preset or a photo: here they are shown, and may be left out.
  "shades or none"(name) {
    const on = make("input", { type: "checkbox", ariaLabel: name });
    const shown = make("div", { className: "shades" });
    let shades = "none";
    return {
      parts: [make("div", { className: "pair" }, on, shown), ""],
      read: () => (on.checked ? shades : "none"),
      write(text) {
        shades = text;
        on.checked = text !== "none";
        on.disabled = !on.checked;
        shown.replaceChildren(...(on.checked ? text.split("/") : []).map((colour) => {
          const patch = make("span");
          patch.style.backgroundColor = colour;
          return patch;
        }));
      },
    };
  },
  "colour or none": (name) => colourOr(name, "none"),
  fill: (name) => colourOr(name, "blur"),
};

function colourOr(name, other) {
  const choice = make("select", { ariaLabel: name });
  choice.append(new Option(title(other), other), new Option("Colour", "colour"));
  const input = make("input", { type: "color", ariaLabel: `${name}: colour`, value: "#3a6ea5" });
  const show = () => (input.hidden = choice.value !== "colour");
  choice.addEventListener("change", show);
  return {
    parts: [make("div", { className: "pair" }, choice, input), ""],
    read: () => (choice.value === "colour" ? input.value : other),
    write(text) {
      choice.value = text === other ? other : "colour";
      if (text !== other) input.value = text;
      show();
    },
  };
}

class Effect {
  constructor({ name, options }) {
    this.name = name;
    this.defaults = Object.fromEntries(options.map((option) => [option.name, option.default]));
    this.options = new Map();
    this.box = make("div", { className: "options", hidden: true });
    for (const { name: option, kind } of options) {
      const control = KINDS[kind](`${title(name)}: ${title(option).toLowerCase()}`);
      const [first, last] = control.parts;
      this.box.append(make("span", { textContent: title(option), ariaHidden: "true" }), first,
        last === "" ? make("span") : last);
      this.options.set(option, control);
    }
    this.on = make("input", { type: "checkbox" });
    this.on.addEventListener("change", () => (this.box.hidden = !this.on.checked));
    this.element = make("div", { className: "effect" }, make("label", {}, this.on, title(name)), this.box);
    this.element.dataset.effect = name;
    this.write(null);
  }

  // What the server reads, such as "lips:color=#b3123f,strength=0.7"; null when it is off.
  read() {
    if (!this.on.checked) return null;
    return `${this.name}:${[...this.options].map(([name, option]) => `${name}=${option.read()}`).join(",")}`;
  }

  write(text) {
    const given = Object.fromEntries((text ?? "").split(":").slice(1).join(":").split(",").map((item) => item.split("=")));
    this.on.checked = text !== null;
    this.box.hidden = !this.on.checked;
    for (const [name, option] of this.options) option.write(given[name] ?? this.defaults[name]);
  }
}

// Fills the two fieldsets; calls `changed` whenever the look is another.
export class Controls {
  constructor(catalogue, changed) {
    this.effects = catalogue.effects.map((effect) => new Effect(effect));
    this.changed = changed;
    const list = document.getElementById("effects");
    list.append(...this.effects.map((effect) => effect.element));
    list.addEventListener("input", () => { this.choose(null); this.changed(); });
    this.buildPresets(catalogue);
    this.write(catalogue.start);
  }

  buildPresets({ presets, start }) {
    const choices = make("div", { className: "choices" });
    this.about = make("p", { id: "about" });
    const offered = [
      { name: "start", about: "as the server was started", effects: start },
      ...presets,
      { name: "none", about: "the picture as it is", effects: [] },
    ];
    for (const preset of offered) {
      const input = make("input", { type: "radio", name: "preset", value: preset.name, checked: preset.name === "start" });
      input.addEventListener("change", () => {
        this.write(preset.effects);
        this.about.textContent = preset.about;
        this.changed();
      });
      choices.append(make("label", {}, input, make("span", { textContent: title(preset.name) })));
    }
    this.about.textContent = offered[0].about;
    document.getElementById("presets").append(choices, this.about);
  }

  // A look that is no preset, with a line about it.
  wear(texts, about) {
    this.write(texts);
    this.choose(null);
    this.about.textContent = about;
    this.changed();
  }

  choose(name) {
    for (const input of document.querySelectorAll("input[name=preset]")) input.checked = input.value === name;
    if (name === null) this.about.textContent = "your own";
  }

  read() {
    return this.effects.map((effect) => effect.read()).filter((text) => text !== null);
  }

  write(texts) {
    for (const effect of this.effects) {
      effect.write(texts.find((text) => text.split(":")[0] === effect.name) ?? null);
    }
  }
}
