/** One declaration as a reader wants it. */
import {
  type Identifier,
  isClassDeclaration,
  isExpressionWithTypeArguments,
  isIdentifier,
  isImportTypeNode,
  isPrivateIdentifier,
  isPrivateKeyword,
  isTypeLiteralNode,
  isTypeQueryNode,
  isTypeReferenceNode,
  isVariableDeclaration,
  type Node,
} from "typescript/unstable/ast";

export interface Declaration {
  /** Its comment, as Markdown. */
  readonly about: string;
  readonly code: string;
}

/** A longer constant is shown by its keys. */
const MOST_LINES = 40;

/** `fileComment` is the comment at the head of the source: the compiler puts it on the first declaration. */
export function declarationOf(node: Node, fileComment: string): Declaration {
  const { text } = node.getSourceFile();
  const statement = isVariableDeclaration(node) ? node.parent.parent : node;
  const start = statement.getStart();
  const comment =
    /\/\*\*((?:(?!\*\/).)*)\*\/\s*$/s.exec(text.slice(statement.getFullStart(), start))?.[1] ?? "";
  const code = (shortened(node) ?? withoutPrivate(node, statement, text))
    .replace(/^export (declare )?/, "")
    .replace(/import\("[^"]*"\)\./g, "")
    .replace(/^( {4})+/gm, (indent) => indent.slice(indent.length / 2))
    .replace(/;$/, "");
  return { about: comment === fileComment ? "" : proseOf(comment), code };
}

function proseOf(comment: string): string {
  return comment
    .replace(/^\s*\* ?/gm, "")
    .replace(/\{@link (\w+)\}/g, "`$1`")
    .replace(/^@throws /gm, "\nThrows ")
    .replace(/^@returns /gm, "\nReturns ")
    .replace(/^@param (\w+) /gm, "\n`$1`: ")
    .trim();
}

/** The declaration's text without its private members and their comments. */
function withoutPrivate(node: Node, statement: Node, text: string): string {
  const hidden = isClassDeclaration(node) ? node.members.filter(isHidden) : [];
  let code = "";
  let at = statement.getStart();
  for (const member of hidden) {
    code += text.slice(at, member.getFullStart());
    at = member.getEnd();
  }
  return code + text.slice(at, statement.getEnd());
}

function isHidden(member: Node): boolean {
  const { name, modifiers } = member as Node & { name?: Node; modifiers?: readonly Node[] };
  return (name !== undefined && isPrivateIdentifier(name)) || (modifiers?.some(isPrivateKeyword) ?? false);
}

/** A constant that is a long object: its keys. */
function shortened(node: Node): string | undefined {
  if (!isVariableDeclaration(node) || !node.type || !isTypeLiteralNode(node.type)) return undefined;
  if (node.getText().split("\n").length <= MOST_LINES) return undefined;
  const keys = node.type.members.map((member) => (member as Node & { name?: Node }).name?.getText() ?? "");
  const lines = [];
  for (let at = 0; at < keys.length; at += 6) lines.push(`  // ${keys.slice(at, at + 6).join(", ")}`);
  return `const ${node.name.getText()}: {\n${lines.join("\n")}\n}`;
}

/** The names of types, and of values whose type is used, in a declaration. */
export function namesIn(node: Node): Identifier[] {
  const found: Identifier[] = [];
  const visit = (part: Node | undefined): void => {
    if (part === undefined || isHidden(part)) return;
    const name = isTypeReferenceNode(part)
      ? part.typeName
      : isTypeQueryNode(part)
        ? part.exprName
        : isImportTypeNode(part)
          ? part.qualifier
          : isExpressionWithTypeArguments(part)
            ? part.expression
            : undefined;
    if (name && isIdentifier(name)) found.push(name);
    part.forEachChild((child) => visit(child));
  };
  if (!shortened(node)) visit(node);
  return found;
}
