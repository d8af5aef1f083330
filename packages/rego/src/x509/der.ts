/**
 * Reads and writes DER, the binary form of ASN.1, as far as certificates and keys need it. It knows tags and lengths and
 * a few primitive types, no structure of certificates.
 */
import { concatBytes } from "../bytes.ts";

/** Bytes that are no DER, or not the DER that was asked for. */
export class DerFault extends Error {}

export interface DerNode {
  /** The identifier byte: class, whether it is constructed, and number. */
  readonly tag: number;
  readonly content: Uint8Array;
  /** Header and content. */
  readonly whole: Uint8Array;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** The tag `[number]` of a context, as a primitive value or as one that holds others. */
export function contextTag(number: number, isConstructed: boolean): number {
  return 0x80 | (isConstructed ? 0x20 : 0) | number;
}

/** Reads nodes one after the other. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The tag of the next node; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  any(): DerNode {
    const start = this.#at;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw new DerFault("a tag of more than one byte");
    let length = this.#byte();
    if (length === 0x80) throw new DerFault("a length that is not definite");
    if (length > 0x80) {
      const count = length & 0x7f;
      if (count > 4) throw new DerFault("a length of too many bytes");
      length = 0;
      for (let index = 0; index < count; index += 1) length = length * 256 + this.#byte();
      if (length < 0x80 || length < 256 ** (count - 1)) throw new DerFault("a length that is not minimal");
    }
    const from = this.#at;
    if (length > this.#bytes.length - from) throw new DerFault("a length beyond the end");
    this.#at = from + length;
    return {
      tag,
      content: this.#bytes.subarray(from, this.#at),
      whole: this.#bytes.subarray(start, this.#at),
    };
  }

  take(tag: number): DerNode {
    if (this.nextTag !== tag) throw new DerFault("tags don't match");
    return this.any();
  }

  /** The next node when it has this tag. */
  optional(tag: number): DerNode | undefined {
    return this.nextTag === tag ? this.any() : undefined;
  }

  /** A reader of the content of the next node. */
  inside(tag: number): DerReader {
    return new DerReader(this.take(tag).content);
  }

  integer(): bigint {
    return integerOf(this.take(TAG.integer));
  }

  oid(): string {
    return oidOf(this.take(TAG.oid).content);
  }

  /** The bytes of a bit string whose bits fill them. */
  bits(): Uint8Array {
    return bitsOf(this.take(TAG.bitString)).bytes;
  }

  octets(): Uint8Array {
    return this.take(TAG.octetString).content;
  }

  end(): void {
    if (!this.isAtEnd) throw new DerFault("trailing data");
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new DerFault("syntax error: data truncated");
    this.#at += 1;
    return byte;
  }
}

export function integerOf(node: DerNode): bigint {
  const { content } = node;
  const [first, second] = content;
  if (first === undefined) throw new DerFault("an integer without bytes");
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerFault("an integer that is not minimal");
  }
  const value = bigintOfBytes(content);
  return first >= 0x80 ? value - (1n << BigInt(content.length * 8)) : value;
}

export function bitsOf(node: DerNode): { readonly bytes: Uint8Array; readonly unused: number } {
  const unused = node.content[0];
  if (unused === undefined || unused > 7) throw new DerFault("a bit string without its first byte");
  return { bytes: node.content.subarray(1), unused };
}

export function oidOf(content: Uint8Array): string {
  const numbers: bigint[] = [];
  let value = 0n;
  for (const [index, byte] of content.entries()) {
    if (value === 0n && byte === 0x80) throw new DerFault("an object identifier that is not minimal");
    value = (value << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) {
      if (index === content.length - 1 || value > 0xffffffffn) throw new DerFault("an object identifier without end");
      continue;
    }
    if (numbers.length > 0) numbers.push(value);
    else if (value < 80n) numbers.push(value / 40n, value % 40n);
    else numbers.push(2n, value - 80n);
    value = 0n;
  }
  if (numbers.length === 0) throw new DerFault("an object identifier without bytes");
  return numbers.join(".");
}

/** Bytes of an integer; no key has more. */
export const INTEGER_BYTES_MAX = 4_096;

export function bigintOfBytes(bytes: Uint8Array): bigint {
  if (bytes.length > INTEGER_BYTES_MAX) throw new DerFault(`an integer of more than ${INTEGER_BYTES_MAX} bytes`);
  let text = "0x0";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return BigInt(text);
}

/** The bytes of an integer that is not negative, without leading zeros; at least as many as asked for. */
export function bytesOfBigint(value: bigint, lengthMin = 0): Uint8Array {
  let text = value === 0n ? "" : value.toString(16);
  if (text.length % 2 === 1) text = `0${text}`;
  text = text.padStart(lengthMin * 2, "0");
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}

export function writeDer(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const length = bytesOfBigint(BigInt(content.length), 1);
  const header = content.length < 0x80 ? [tag, content.length] : [tag, 0x80 | length.length, ...length];
  return concatBytes(Uint8Array.from(header), content);
}

/** An integer that is not negative, given by its bytes. */
export function writeInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const content = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return (content[0] ?? 0) >= 0x80 ? writeDer(TAG.integer, Uint8Array.of(0), content) : writeDer(TAG.integer, content);
}

export function writeBits(bytes: Uint8Array): Uint8Array {
  return writeDer(TAG.bitString, Uint8Array.of(0), bytes);
}

export function writeOid(oid: string): Uint8Array {
  const [first = 0n, second = 0n, ...others] = oid.split(".").map(BigInt);
  const bytes: number[] = [];
  for (const number of [first * 40n + second, ...others]) {
    const digits: number[] = [Number(number & 0x7fn)];
    for (let rest = number >> 7n; rest > 0n; rest >>= 7n) digits.unshift(Number(rest & 0x7fn) | 0x80);
    bytes.push(...digits);
  }
  return writeDer(TAG.oid, Uint8Array.from(bytes));
}
