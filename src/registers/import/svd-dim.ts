/** Arrays of CMSIS-SVD: dim, dimIncrement and dimIndex, and %s in names. */
import { MAX_LABELS } from "../limits.ts";
import type { Dim } from "./description.ts";
import { countNumber, svdNumber as number } from "./number.ts";
import { type Element, textOf } from "./xml.ts";

/** Undefined: no array. */
export function dimOf(element: Element): Dim | "mistake" | undefined {
  const dim = textOf(element, "dim");
  if (dim === undefined) return undefined;
  const count = countNumber(number(dim));
  const strideBytes = number(textOf(element, "dimIncrement"));
  if (count === undefined || count === 0 || strideBytes === undefined) return "mistake";
  const labels = labelsOf(textOf(element, "dimIndex") ?? "");
  const isCounted = labels.every((label, index) => label === String(index));
  return { count, strideBytes, labels: isCounted || labels.length !== count ? undefined : labels };
}

/** "0-3", "A-D" or "A,B,D". */
function labelsOf(text: string): string[] {
  const [, low, high] = /^(\d{1,9}|[A-Za-z])-(\d{1,9}|[A-Za-z])$/.exec(text.replace(/\s/g, "")) ?? [];
  if (low === undefined || high === undefined)
    return text === "" ? [] : text.split(",").map((label) => label.trim());
  const isNumber = /\d/.test(low);
  const [from, to] = isNumber ? [Number(low), Number(high)] : [low.charCodeAt(0), high.charCodeAt(0)];
  const length = Math.max(0, Math.min(to - from + 1, MAX_LABELS));
  return Array.from({ length }, (_, i) => (isNumber ? String(from + i) : String.fromCharCode(from + i)));
}

/** The name, with %s for its index if it is an array: "CH[%s]" → "CH%s", "TIM%s_CR", "CH" → "CH%s". */
export function nameOf(element: Element): string {
  const name = (textOf(element, "name") ?? "UNNAMED").replace("[%s]", "%s");
  if (textOf(element, "dim") === undefined) return name.replaceAll("%s", "");
  return name.includes("%s") ? name : `${name}%s`;
}

/** The elements' names and what stands for %s in them; at most `most`. */
export function expandNames(
  element: Element,
  { count, labels }: Dim,
  most: number,
): { name: string; label: string }[] {
  const name = nameOf(element);
  return Array.from({ length: Math.min(count, most) }, (_, index) => {
    const label = labels?.[index] ?? String(index);
    return { name: name.replace("%s", () => label), label };
  });
}
