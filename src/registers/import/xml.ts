/** XML as a tree of elements. The parser reads no external files, and expands no entity that a file defines. */
import { parseXml as parse, XmlElement } from "@rgrove/parse-xml";
import { MAX_DEPTH } from "../limits.ts";
import { DescriptionError } from "./description.ts";

export interface Element {
  /** Without its namespace's prefix. */
  readonly name: string;
  readonly prefix: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  /** All text in it, with each run of white space as one space. */
  readonly text: string;
}

/** The root element. Throws DescriptionError: this is no well-formed XML, with the line and column. */
export function parseXml(text: string): Element {
  try {
    const { root } = parse(text);
    if (root) return convert(root, 1);
  } catch (error) {
    // The parser recurses, so elements can be nested too deeply for it.
    if (error instanceof RangeError || error instanceof TooDeep)
      throw new DescriptionError(
        `its elements are nested more than ${MAX_DEPTH} deep; no standard needs that`,
      );
    const [message = ""] = (error as Error).message.split("\n");
    throw new DescriptionError(`it is not well-formed XML: ${message}`, { cause: error });
  }
  throw new DescriptionError("it has no XML element");
}

class TooDeep extends Error {}

/** Throws TooDeep. */
function convert(element: XmlElement, depth: number): Element {
  if (depth > MAX_DEPTH) throw new TooDeep();
  const [prefix, name] = /^(?:(.*):)?(.*)$/s.exec(element.name)!.slice(1);
  const elements = element.children.filter((child) => child instanceof XmlElement);
  const children = elements.map((child) => convert(child, depth + 1));
  const text = children.length > 0 ? "" : element.text.replace(/\s+/g, " ").trim();
  return { name: name!, prefix: prefix ?? "", attributes: element.attributes, children, text };
}

export const childrenOf = (element: Element | undefined, ...names: readonly string[]): Element[] =>
  element?.children.filter(({ name }) => names.includes(name)) ?? [];

export const childOf = (element: Element | undefined, name: string): Element | undefined =>
  element?.children.find((child) => child.name === name);

/** A child's text; undefined if there is no such child or it is empty. */
export const textOf = (element: Element | undefined, name: string): string | undefined =>
  childOf(element, name)?.text || undefined;

/** The first text of these children: a description, or else a title. */
export const aboutOf = (element: Element, fallback: string): string =>
  textOf(element, "description") ?? textOf(element, "displayName") ?? fallback;
