/** Distinguished names (RFC 5280, 4.1.2.4): attributes by type, and the texts of strings in certificates. */
import { strictTextOfUtf8 } from "../bytes.ts";
import { DerFault, type DerNode, DerReader, TAG } from "./der.ts";

export interface NameAttribute {
  readonly type: string;
  readonly value: string;
}

export interface DistinguishedName {
  /** As it stands in the certificate; names are compared by it. */
  readonly raw: Uint8Array;
  readonly attributes: readonly NameAttribute[];
}

export function readName(node: DerNode): DistinguishedName {
  if (node.tag !== TAG.sequence) throw new DerFault("tags don't match");
  const attributes: NameAttribute[] = [];
  const names = new DerReader(node.content);
  while (!names.isAtEnd) {
    const set = names.inside(TAG.set);
    while (!set.isAtEnd) {
      const pair = set.inside(TAG.sequence);
      attributes.push({ type: pair.oid(), value: textOfString(pair.any()) });
    }
  }
  return { raw: node.whole, attributes };
}

/** The text of a string of any of ASN.1's kinds. */
function textOfString({ tag, content }: DerNode): string {
  switch (tag) {
    case TAG.utf8String: {
      const text = strictTextOfUtf8(content);
      if (text === undefined) throw new DerFault("invalid UTF-8 string");
      return text;
    }
    case 0x1e: {
      // BMPString: UTF-16
      if (content.length % 2 !== 0) throw new DerFault("invalid BMPString");
      let text = "";
      for (let at = 0; at < content.length; at += 2) {
        text += String.fromCharCode(((content[at] ?? 0) << 8) | (content[at + 1] ?? 0));
      }
      return text.endsWith("\u0000") ? text.slice(0, -1) : text;
    }
    case 0x12: // NumericString
    case 0x13: // PrintableString
    case 0x14: // T61String, read as Latin 1
    case 0x16: // IA5String
      return latinOf(content);
    default:
      throw new DerFault("unsupported string type");
  }
}

export function latinOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
