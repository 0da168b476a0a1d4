import { distance } from 'fastest-levenshtein';

/** Compares names whatever their case and separators: `--lr_rate`, `lr-rate` and `lrRate` are one. */
const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

const initials = (name: string): string =>
  plain(
    name
      .split(/[-_]|(?=[A-Z])/)
      .map((word) => word.charAt(0))
      .join(''),
  );

/**
 * The candidate that `name` was probably meant to be, or undefined when none is close: about two letters in five
 * wrong, one name the beginning of the other, or its initials.
 */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(name);
  if (wanted === '') return undefined;
  const rated = candidates.map((candidate) => {
    const other = plain(candidate);
    const errors = distance(wanted, other);
    const related = wanted.length > 1 && (other.startsWith(wanted) || wanted.startsWith(other));
    const mostErrors = Math.max(wanted.length > 3 ? 2 : 1, wanted.length * 0.4);
    const close = related || initials(candidate) === wanted || errors <= mostErrors;
    return { candidate, errors: close ? errors : Number.POSITIVE_INFINITY };
  });
  const best = rated.reduce((a, b) => (b.errors < a.errors ? b : a), {
    candidate: '',
    errors: Number.POSITIVE_INFINITY,
  });
  return best.candidate || undefined;
}

/** ` — did you mean X?`, or nothing. */
export function suggestion(name: string, candidates: readonly string[]): string {
  const nearest = nearestName(name, candidates);
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}
