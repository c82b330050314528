/** The revision of an aggregate, as the strong validator of its representation (RFC 9110 8.8.3). */
export function entityTag(revision: number): string {
  return `"${revision}"`;
}

/**
 * What an `If-Match` header asks of the revision (RFC 9110 13.1.1). Weak tags never match, and what is not a list of tags
 * matches nothing.
 *
 * @returns undefined when there is no such header
 */
export function ifMatch(header: string | undefined): ((revision: number) => boolean) | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === '*') return () => true;
  const tags = header.split(',').map((tag) => tag.trim());
  return (revision) => tags.includes(entityTag(revision));
}
