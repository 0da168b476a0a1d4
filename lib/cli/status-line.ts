import { createLogUpdate } from 'log-update';

/** Milliseconds of work that need no word. */
const PATIENCE = 1000;

export interface StatusLine {
  show(text: string): void;
  /** Leaves the terminal as it should be. */
  close(): void;
}

/**
 * Whether a line can be drawn over and over there. A terminal of no rows, such as script makes where it was started without
 * one, would be shown nothing.
 */
export const isLive = ({ isTTY, rows }: Pick<NodeJS.WriteStream, 'isTTY' | 'rows'>): boolean =>
  isTTY && rows !== 0;

/** One line on a terminal that says what a command is doing, once that takes a while; nothing elsewhere. */
export function statusLine(stream: NodeJS.WriteStream): StatusLine {
  if (!isLive(stream)) return { show: () => {}, close: () => {} };
  const update = createLogUpdate(stream, { showCursor: true });
  const begun = performance.now();
  return {
    show: (text) => {
      if (performance.now() - begun > PATIENCE) update(text);
    },
    close: () => update.clear(),
  };
}
