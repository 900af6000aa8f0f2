/**
 * A progress bar on standard error: redrawn in place on a terminal, a few plain lines elsewhere.
 *
 * @module
 */

const WIDTH = 40;
const PARTS = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** Draws what `fraction` returns, several times a second, until it is disposed of. */
export class ProgressBar {
  readonly #label: string;
  readonly #fraction: () => number;
  readonly #start = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #terminal = Deno.stderr.isTerminal();
  #nextLine = 0;

  /** @param fraction Tells the progress from 0 to 1. */
  constructor(label: string, fraction: () => number) {
    this.#label = label;
    this.#fraction = fraction;
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), this.#terminal ? 40 : 100);
  }

  /** Draws the last state and ends the line. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#draw();
    if (this.#terminal) write("\n");
  }

  #draw(): void {
    const fraction = this.#fraction();
    const percent = `${Math.floor(100 * fraction)}`.padStart(3);
    if (this.#terminal) {
      const seconds = ((performance.now() - this.#start) / 1000).toFixed(1);
      write(`\r${this.#label}  ▕${bar(fraction)}▏ ${percent} %  ${seconds} s\x1b[K`);
    } else if (fraction >= this.#nextLine) {
      write(`${this.#label}  ${percent} %\n`);
      this.#nextLine = (Math.floor(4 * fraction) + 1) / 4;
    }
  }
}

/** Full blocks and one that is partly full. */
function bar(fraction: number): string {
  const eighths = Math.floor(fraction * WIDTH * 8);
  const full = Math.floor(eighths / 8);
  const part = full < WIDTH ? PARTS[eighths % 8] : "";
  return "█".repeat(full) + part + " ".repeat(Math.max(0, WIDTH - full - 1));
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let sent = 0; sent < bytes.length;) sent += Deno.stderr.writeSync(bytes.subarray(sent));
}
