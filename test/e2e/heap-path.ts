/** What is used of a `.heapsnapshot`: tables of numbers, with as many to a row as there are fields. */
export interface HeapSnapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      readonly edge_fields: readonly string[];
      readonly edge_types: readonly [readonly string[], ...unknown[]];
    };
  };
  readonly nodes: readonly number[];
  readonly edges: readonly number[];
  readonly strings: readonly string[];
}

interface Node {
  readonly name: string;
  readonly edgeCount: number;
}

/** `to` counts nodes, the name is a text or an index. */
interface Edge {
  readonly type: string;
  readonly name: string;
  readonly to: number;
}

const LONGEST_NAME = 60;

/**
 * Who holds a text: the shortest way from a string with it to the roots, as `secret of Object < [0] of Array < …`. Weak references
 * do not count, since they hold nothing.
 */
export function pathTo(snapshot: HeapSnapshot, text: string): string {
  const { nodeAt, edgeAt, count } = read(snapshot);
  const cameBy = new Map<number, { readonly from: number; readonly edge: Edge }>();
  const edgesOf = firstEdges(count, (node) => nodeAt(node).edgeCount);
  const reached = [0];
  for (const from of reached) {
    if (from !== 0 && nodeAt(from).name.includes(text)) return waysBack(from);
    for (let at = edgesOf[from] ?? 0; at < (edgesOf[from + 1] ?? 0); at++) {
      const edge = edgeAt(at);
      if (edge.type === 'weak' || edge.to === 0 || cameBy.has(edge.to)) continue;
      cameBy.set(edge.to, { from, edge });
      reached.push(edge.to);
    }
  }
  return 'nobody that is reached from the roots';

  function waysBack(node: number): string {
    const steps: string[] = [];
    for (let step = cameBy.get(node); step !== undefined; step = cameBy.get(step.from)) {
      steps.push(`${step.edge.name} of ${nodeAt(step.from).name.slice(0, LONGEST_NAME)}`);
    }
    return steps.join(' < ');
  }
}

function read({ snapshot: { meta }, nodes, edges, strings }: HeapSnapshot) {
  const nodeField = (name: string) => meta.node_fields.indexOf(name);
  const edgeField = (name: string) => meta.edge_fields.indexOf(name);
  const [nodeSize, nodeName, edgeCount] = [meta.node_fields.length, nodeField('name'), nodeField('edge_count')];
  const [edgeSize, type, nameOrIndex, to] = [
    meta.edge_fields.length,
    edgeField('type'),
    edgeField('name_or_index'),
    edgeField('to_node'),
  ];
  const textOf = (index: number | undefined): string => strings[index ?? -1] ?? '';
  return {
    count: nodes.length / nodeSize,
    nodeAt: (node: number): Node => ({
      name: textOf(nodes[node * nodeSize + nodeName]),
      edgeCount: nodes[node * nodeSize + edgeCount] ?? 0,
    }),
    edgeAt(edge: number): Edge {
      const at = edge * edgeSize;
      const kind = meta.edge_types[0][edges[at + type] ?? -1] ?? '';
      const name = edges[at + nameOrIndex];
      const isIndex = kind === 'element' || kind === 'hidden';
      return { type: kind, name: isIndex ? `[${name}]` : textOf(name), to: (edges[at + to] ?? 0) / nodeSize };
    },
  };
}

/** The edges of a node stand together, in the order of the nodes. */
function firstEdges(count: number, edgeCountOf: (node: number) => number): readonly number[] {
  const first = [0];
  for (let node = 0; node < count; node++) first.push((first[node] ?? 0) + edgeCountOf(node));
  return first;
}
