/** Labels in files of their own beside the images, as WebDataset has them. */

/** In the order in which they are asked. */
const EXTENSIONS = ['cls', 'json', 'txt'] as const;
const JSON_KEYS = ['label', 'class', 'cls', 'class_name', 'category'];
/** A longer text is a caption. */
const MAX_LABEL_LENGTH = 100;

const extensionOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1).toLowerCase();

export function isLabelFile(name: string): boolean {
  return EXTENSIONS.some((extension) => extensionOf(name) === extension);
}

/** The label that the first of the files that has one says; undefined when none does. */
export function labelFrom(
  files: readonly { name: string; content?: Uint8Array | undefined }[],
): number | string | undefined {
  for (const extension of EXTENSIONS) {
    for (const { name, content } of files) {
      if (content === undefined || extensionOf(name) !== extension) continue;
      const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString('utf8').trim();
      const label = extension === 'json' ? labelInJson(text) : asLabel(text);
      if (label !== undefined) return label;
    }
  }
  return undefined;
}

function labelInJson(text: string): number | string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return asLabel(value);
  const key = JSON_KEYS.find((key) => asLabel((value as Record<string, unknown>)[key]) !== undefined);
  return key === undefined ? undefined : asLabel((value as Record<string, unknown>)[key]);
}

/** A whole number or a short text as a label; numbers in digits count as numbers. */
export function asLabel(value: unknown): number | string | undefined {
  if (typeof value === 'bigint') return asLabel(Number(value));
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== 'string' || value === '' || value.length > MAX_LABEL_LENGTH || /[\r\n]/.test(value)) {
    return undefined;
  }
  return /^(0|-?[1-9]\d{0,14})$/.test(value) ? Number(value) : value;
}
