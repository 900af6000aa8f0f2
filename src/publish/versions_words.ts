/**
 * The words of a publication of versions. The names of the words and the order of the steps are those of the
 * models, `tests/model/versions.pml` and `tests/model/times.pml`, and of `docs/publication.md`. The names of the
 * versions themselves, which bear the publication's id, are the business of `src/segment/parts.ts`. Where each word
 * stands, and what may stand in it, is said in `header_words.ts`.
 *
 * @module
 */

import { fence, type Word } from "../words.ts";
import {
  ARRAY_BYTES,
  checkTime,
  DTYPE,
  ENDED,
  type Header,
  HEADER_BYTES,
  HeaderWords,
  ID,
  MAGIC,
  META_BYTES,
  MODE,
  NEWEST,
  SLOT_STEP,
  SLOTS,
  TIME_A,
  TIME_B,
  TIMED_A,
  TIMED_B,
  TURN,
} from "./header_words.ts";

/** All words of a publication of versions, in their order; `SLOTS`, `SLOT_STEP` and `META_BYTES` are 0. */
export const versionsWords: readonly Word[] = [
  MAGIC,
  DTYPE,
  ARRAY_BYTES,
  SLOTS,
  MODE,
  SLOT_STEP,
  ID,
  META_BYTES,
  NEWEST,
  TURN,
  ENDED,
  TIMED_A,
  TIME_A,
  TIMED_B,
  TIME_B,
];

/** Tells what the header of a publication of versions says. */
export function versionsHeader(arrays: Pick<Header, "dtype" | "arrayBytes">): Header {
  return { kind: "versions", ...arrays, slots: 0, slotStep: 0, metaBytes: 0 };
}

/**
 * The two places for the moment of a version. The moment of the current version is in one of them, and that of the
 * next one is written to the other.
 */
const places: readonly { readonly timed: Word; readonly time: Word }[] = [
  { timed: TIMED_A, time: TIME_A },
  { timed: TIMED_B, time: TIME_B },
];

/** The words of an attached publication of versions. */
export class VersionsWords extends HeaderWords {
  readonly #times: Float64Array<ArrayBuffer>;

  /**
   * @param name the publication's name
   * @param buffer the memory; it has at least as many bytes as a header
   */
  constructor(name: string, buffer: ArrayBuffer) {
    super(name, buffer);
    this.#times = new Float64Array(buffer, 0, HEADER_BYTES / 8);
  }

  /**
   * Notes when a version is published, before it becomes the newest. That of the current version stays.
   *
   * @param version the number of the next version
   * @param time the moment in milliseconds of the Unix epoch
   */
  storeTime(version: number, time: number): void {
    const { newest } = this;
    const place = places.find(({ timed }) => this.number(timed) !== newest) ?? places[0];
    this.store(place.timed, 0);
    fence();
    this.#times[place.time.at / 8] = time;
    fence();
    this.store(place.timed, version);
  }

  /**
   * When a version was published that was the newest when it was looked at last.
   *
   * @param version its number
   * @returns the moment in milliseconds of the Unix epoch; `null` if the moment of a later version stands there by
   * now, or none ever did
   * @throws {Deno.errors.InvalidData} if what stands there is no moment
   */
  timeOf(version: number): number | null {
    for (const { timed, time } of places) {
      if (this.number(timed) !== version) continue;
      const moment = this.#times[time.at / 8];
      fence();
      return this.number(timed) === version ? checkTime(moment, time, this.name) : null;
    }
    return null;
  }
}
