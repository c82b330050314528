/** A binary heap: the item with the lowest rank first. */
export interface MinHeap<Item> {
  push(item: Item): void;
  peek(): Item | undefined;
  pop(): Item | undefined;
}

export function makeMinHeap<Item>(rankOf: (item: Item) => number): MinHeap<Item> {
  const items: { readonly rank: number; readonly item: Item }[] = [];
  const rankAt = (at: number): number => items[at]?.rank ?? Infinity;

  return {
    push(item) {
      items.push({ rank: rankOf(item), item });
      for (let at = items.length - 1; at > 0;) {
        const above = (at - 1) >> 1;
        if (rankAt(above) <= rankAt(at)) return;
        swap(at, above);
        at = above;
      }
    },
    peek: () => items[0]?.item,
    pop() {
      const first = items[0];
      const last = items.pop();
      if (first === undefined || last === undefined || items.length === 0) return first?.item;
      items[0] = last;
      sink();
      return first.item;
    },
  };

  function sink(): void {
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const lower = rankAt(left + 1) < rankAt(left) ? left + 1 : left;
      if (rankAt(lower) >= rankAt(at)) return;
      swap(at, lower);
      at = lower;
    }
  }

  function swap(a: number, b: number): void {
    const [itemA, itemB] = [items[a], items[b]];
    if (itemA === undefined || itemB === undefined) return;
    items[a] = itemB;
    items[b] = itemA;
  }
}
