/**
 * Text by lines.
 *
 * @module
 */

/** Turns bytes into lines of text, without their ends. */
export class TextLineStream {
  readonly readable: ReadableStream<string>;
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;

  constructor() {
    const decoder = new TextDecoder();
    let rest = "";
    const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>, string>({
      transform(chunk, controller) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop()!;
        lines.forEach((line) => controller.enqueue(line));
      },
    });
    this.readable = readable;
    this.writable = writable;
  }
}
