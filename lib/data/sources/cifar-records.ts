/**
 * The records of the CIFAR binary files: labels of one byte each, then 32×32 pixels as three planes. The files have
 * neither mark nor header; their size and the range of their labels tell them.
 */
export interface CifarKind {
  name: 'CIFAR-10' | 'CIFAR-100';
  /** Number of classes of each label byte. CIFAR-100 has the superclass first; the last one is the class. */
  classes: readonly number[];
}

export const CIFAR_SIDE = 32;
export const CIFAR_PIXEL_BYTES = 3 * CIFAR_SIDE ** 2;

export const CIFAR_KINDS: readonly CifarKind[] = [
  { name: 'CIFAR-10', classes: [10] },
  { name: 'CIFAR-100', classes: [20, 100] },
];

/** 3,073 for CIFAR-10, 3,074 for CIFAR-100. */
export const cifarRecordBytes = (kind: CifarKind): number => kind.classes.length + CIFAR_PIXEL_BYTES;

/** Which of the kinds a file of `size` bytes that begins with `head` can be. */
export function cifarKind(head: Uint8Array, size: number): CifarKind['name'] | undefined {
  const fits = (kind: CifarKind): boolean =>
    size > 0 &&
    size % cifarRecordBytes(kind) === 0 &&
    kind.classes.every((classes, i) => (head[i] ?? 255) < classes);
  return CIFAR_KINDS.find(fits)?.name;
}
