/** `derivedFrom` of CMSIS-SVD: an element that is like another one, but for what it says itself. */
import type { Note } from "./description.ts";
import { childOf, type Element, textOf } from "./xml.ts";

export interface Deriving {
  /** The element with what it has from the one that it is derived from; `names` are its own and those of its parents. */
  resolve(element: Element, names: readonly string[], note: Note): Element;
}

const kinds = ["peripheral", "cluster", "register", "field", "enumeratedValues"];
/** Children that are lists; a derived element adds to them. */
const lists = ["registers", "fields"];

interface Candidate {
  readonly element: Element;
  readonly names: readonly string[];
}

export function openDeriving(device: Element): Deriving {
  let index: Map<string, Candidate[]> | undefined;

  /** The one with this name, or path, that is nearest to where it is named. */
  function find(kind: string, path: string, from: readonly string[]): Candidate | undefined {
    index ??= indexOf(device);
    const wanted = path.split(".");
    const candidates = (index.get(`${kind} ${wanted.at(-1)}`) ?? []).filter(({ names }) =>
      wanted.every((name, i) => names[names.length - wanted.length + i] === name),
    );
    const nearness = ({ names }: Candidate) => {
      const away = names.findIndex((name, i) => name !== from[i]);
      return away < 0 ? names.length : away;
    };
    return candidates.toSorted((a, b) => nearness(b) - nearness(a))[0];
  }

  function resolve(
    element: Element,
    names: readonly string[],
    note: Note,
    seen: readonly Element[],
  ): Element {
    const path = element.attributes.derivedFrom;
    if (path === undefined) return element;
    const base = find(element.name, path, names);
    if (!base || base.element === element || seen.includes(base.element)) {
      note(`derivedFrom ${path} ${base ? "leads back to itself" : "names nothing in the file"}`);
      return element;
    }
    return merge(resolve(base.element, base.names, note, [...seen, element]), element);
  }

  return { resolve: (element, names, note) => resolve(element, names, note, []) };
}

function merge(base: Element, derived: Element): Element {
  const isOwn = ({ name }: Element) => childOf(derived, name) !== undefined;
  const inherited = base.children.filter((child) => lists.includes(child.name) || !isOwn(child));
  const own = derived.children.filter(({ name }) => !lists.includes(name) || !childOf(base, name));
  const children = inherited.map((child) => {
    const added = lists.includes(child.name) ? childOf(derived, child.name) : undefined;
    if (!added) return child;
    const names = new Set(added.children.map((each) => textOf(each, "name")));
    const kept = child.children.filter((each) => !names.has(textOf(each, "name")));
    return { ...child, children: [...kept, ...added.children] };
  });
  return { ...derived, children: [...own, ...children] };
}

/** By kind and name. */
function indexOf(device: Element): Map<string, Candidate[]> {
  const index = new Map<string, Candidate[]>();
  const visit = (element: Element, outer: readonly string[]) => {
    const isKind = kinds.includes(element.name);
    const names = isKind ? [...outer, textOf(element, "name") ?? ""] : outer;
    if (isKind) {
      const key = `${element.name} ${names.at(-1)}`;
      const known = index.get(key);
      if (known) known.push({ element, names });
      else index.set(key, [{ element, names }]);
    }
    for (const child of element.children) visit(child, names);
  };
  visit(device, []);
  return index;
}
