// How verdicts sound: a tone, and the words where the browser has a voice for them. Browsers play nothing before somebody
// has touched the page, unless they are told otherwise.

const TONES = { // start and length in seconds, hertz
  pass: [[0, 0.12, 784], [0.13, 0.25, 1175]],
  code: [[0, 0.15, 880]],
  alert: [[0, 0.4, 622], [0.45, 0.4, 466], [0.9, 0.4, 622], [1.35, 0.55, 466]],
};
const VOICES = { zh: /^(zh(-hans)?-cn|zh-tw|cmn)/ }; // Cantonese is another language
const KEPT = 32; // verdicts that have sounded

export class Sounds {
  // locked is told whether the page has to be touched first.
  constructor({ sound, volume }, language, locked) {
    const Context = window.AudioContext || window.webkitAudioContext;
    this.played = [];
    this.volume = volume;
    this.voice = sound === "voice" && "speechSynthesis" in window;
    this.spoken = VOICES[language] || new RegExp(`^${language}\\b`);
    if (sound === "off" || !Context) return;
    this.context = new Context();
    const tell = () => {
      const running = this.context.state === "running";
      if (!running) this.answered = false;
      locked(!running);
    };
    this.context.onstatechange = tell;
    tell();
    for (const touch of ["pointerdown", "touchend", "keydown"]) document.addEventListener(touch, () => this.unlock());
  }

  unlock() {
    if (this.context.state === "running") return;
    this.context.resume().then(() => this.answer());
    if (this.voice) speechSynthesis.speak(new SpeechSynthesisUtterance(""));
  }

  // answer sounds what is on the page and nobody has heard, else a tone that is no verdict's.
  answer() {
    if (this.answered) return;
    this.answered = true;
    const seconds = this.tone(this.unheard ? this.unheard.sound : "code");
    if (this.unheard) this.speak(this.unheard.words, seconds);
    this.unheard = null;
  }

  // play sounds a verdict, each one once.
  play({ id, sound }, words) {
    const key = id + sound;
    if (this.unheard && this.unheard.key !== key) this.unheard = null;
    if (!sound || !this.context || this.played.includes(key)) return;
    this.played = [...this.played.slice(1 - KEPT), key];
    if (this.context.state === "running") this.speak(words, this.tone(sound));
    else this.unheard = { key, sound, words };
  }

  // tone plays one and returns how many seconds it takes.
  tone(name) {
    const now = this.context.currentTime;
    for (const [start, length, hertz] of TONES[name]) {
      const oscillator = this.context.createOscillator(), gain = this.context.createGain();
      oscillator.type = "triangle";
      oscillator.frequency.value = hertz;
      gain.gain.setValueAtTime(0, now + start);
      gain.gain.linearRampToValueAtTime(this.volume, now + start + 0.02);
      gain.gain.setValueAtTime(this.volume, now + start + length - 0.06);
      gain.gain.linearRampToValueAtTime(0, now + start + length);
      oscillator.onended = () => gain.disconnect();
      oscillator.connect(gain);
      gain.connect(this.context.destination);
      oscillator.start(now + start);
      oscillator.stop(now + start + length);
    }
    const [start, length] = TONES[name][TONES[name].length - 1];
    return start + length;
  }

  speak(words, seconds) {
    if (!this.voice) return;
    clearTimeout(this.speaking);
    speechSynthesis.cancel();
    const voice = speechSynthesis.getVoices().find((v) => v.localService && this.spoken.test(v.lang.toLowerCase().replace("_", "-")));
    if (!voice) return;
    const utterance = new SpeechSynthesisUtterance(words);
    utterance.voice = voice;
    utterance.lang = voice.lang;
    utterance.volume = this.volume;
    this.speaking = setTimeout(() => speechSynthesis.speak(utterance), 1000 * seconds);
  }
}
