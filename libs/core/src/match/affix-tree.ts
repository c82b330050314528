/** Whether a tree is about how texts begin, or how they end. */
export type AffixEnd = 'prefix' | 'suffix';

/**
 * A compressed trie: the labels from the root to a node, put together, are the affix that the node stands for. Answers
 * which of many prefixes (or suffixes) a text has, in one walk along the text, however many there are.
 *
 * Rejected: a map for each length of prefix, asked with `text.slice(0, length)`: a tenant can make a thousand lengths.
 */
export interface AffixTree<Value> {
  label: string;
  value: Value | undefined;
  /** By the first code unit of their labels; for suffixes the last. */
  children: Map<number, AffixTree<Value>> | undefined;
}

export function makeAffixTree<Value>(): AffixTree<Value> {
  return { label: '', value: undefined, children: undefined };
}

/** Calls back for every affix in the tree that the text has, shortest first. */
export function visitAffixes<Value>(
  root: AffixTree<Value>,
  end: AffixEnd,
  text: string,
  visit: (value: Value) => void,
): void {
  let node: AffixTree<Value> | undefined = root;
  for (let depth = 0; ;) {
    if (node.value !== undefined) visit(node.value);
    if (node.children === undefined || depth >= text.length) return;
    node = node.children.get(codeAt(text, depth, end));
    if (node === undefined || !continues(text, depth, node.label, end)) return;
    depth += node.label.length;
  }
}

/** The value of exactly this affix. */
export function findAffix<Value>(root: AffixTree<Value>, end: AffixEnd, affix: string): Value | undefined {
  return pathTo(root, end, affix)?.at(-1)?.value;
}

/** Sets the value of an affix that is not empty. */
export function setAffix<Value>(root: AffixTree<Value>, end: AffixEnd, affix: string, value: Value): void {
  let node = root;
  for (let depth = 0; depth < affix.length; depth += node.label.length) {
    node = stepTowards(node, end, affix, depth);
  }
  node.value = value;
}

/** Forgets an affix, and the nodes that only it needed. */
export function deleteAffix<Value>(root: AffixTree<Value>, end: AffixEnd, affix: string): void {
  const path = pathTo(root, end, affix);
  const node = path?.at(-1);
  if (path === undefined || node === undefined) return;
  node.value = undefined;
  for (let i = path.length - 1; i > 0; i--) {
    const [parent, child] = [path[i - 1], path[i]];
    if (parent === undefined || child === undefined || !tidy(parent, child, end)) return;
  }
}

export function isEmptyTree(root: AffixTree<unknown>): boolean {
  return root.value === undefined && root.children === undefined;
}

/** The child on the way to the affix: the one there is, the beginning that it shares, or a new leaf. */
function stepTowards<Value>(node: AffixTree<Value>, end: AffixEnd, affix: string, depth: number): AffixTree<Value> {
  const children = (node.children ??= new Map<number, AffixTree<Value>>());
  const code = codeAt(affix, depth, end);
  const child = children.get(code);
  if (child !== undefined && continues(affix, depth, child.label, end)) return child;
  const made: AffixTree<Value> = { label: after(affix, depth, end), value: undefined, children: undefined };
  if (child !== undefined) {
    const shared = sharedLength(child.label, made.label, end);
    made.label = before(child.label, shared, end);
    child.label = after(child.label, shared, end);
    made.children = new Map([[codeAt(child.label, 0, end), child]]);
  }
  children.set(code, made);
  return made;
}

function pathTo<Value>(root: AffixTree<Value>, end: AffixEnd, affix: string): AffixTree<Value>[] | undefined {
  const path = [root];
  let node = root;
  for (let depth = 0; depth < affix.length; depth += node.label.length) {
    const child = node.children?.get(codeAt(affix, depth, end));
    if (child === undefined || !continues(affix, depth, child.label, end)) return undefined;
    node = child;
    path.push(node);
  }
  return path;
}

/** Drops a child that stands for nothing, or joins it with its only child. True when the parent may be next. */
function tidy<Value>(parent: AffixTree<Value>, child: AffixTree<Value>, end: AffixEnd): boolean {
  if (child.value !== undefined) return false;
  if (child.children === undefined) {
    parent.children?.delete(codeAt(child.label, 0, end));
    if (parent.children?.size === 0) parent.children = undefined;
    return true;
  }
  const [only] = child.children.values();
  if (child.children.size > 1 || only === undefined) return false;
  child.label = end === 'prefix' ? child.label + only.label : only.label + child.label;
  child.value = only.value;
  child.children = only.children;
  return false;
}

function codeAt(text: string, depth: number, end: AffixEnd): number {
  return text.charCodeAt(end === 'prefix' ? depth : text.length - 1 - depth);
}

function continues(text: string, depth: number, label: string, end: AffixEnd): boolean {
  return end === 'prefix' ? text.startsWith(label, depth) : text.endsWith(label, text.length - depth);
}

function before(text: string, depth: number, end: AffixEnd): string {
  return end === 'prefix' ? text.slice(0, depth) : text.slice(text.length - depth);
}

function after(text: string, depth: number, end: AffixEnd): string {
  return end === 'prefix' ? text.slice(depth) : text.slice(0, text.length - depth);
}

function sharedLength(a: string, b: string, end: AffixEnd): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && codeAt(a, length, end) === codeAt(b, length, end)) length++;
  return length;
}
