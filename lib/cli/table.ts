/** Columns two spaces apart; those from `firstRight` on to the right. */
export function aligned(rows: readonly (readonly string[])[], firstRight: number): string[] {
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, i) => (i < firstRight ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
