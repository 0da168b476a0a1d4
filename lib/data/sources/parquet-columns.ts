/** Which columns of a Parquet file are the image and its label. */
import { type FileMetaData, parquetSchema, type SchemaTree } from 'hyparquet';

export interface ImageColumn {
  name: string;
  /** As the Hugging Face hub has it: a structure of the image file's bytes and its path; else the bytes themselves. */
  isStruct: boolean;
}

export interface Columns {
  image: ImageColumn;
  label?: { name: string; names?: readonly string[] | undefined } | undefined;
}

const IMAGE_NAMES = [
  'image',
  'img',
  'images',
  'picture',
  'photo',
  'jpg',
  'jpeg',
  'png',
  'webp',
  'bytes',
  'content',
];
const LABEL_NAMES = ['label', 'labels', 'fine_label', 'class', 'cls', 'target', 'category'];

/** Throws an Error that says which columns there are when none can be the image, or several can. */
export function chooseColumns(metadata: FileMetaData): Columns {
  const columns = parquetSchema(metadata).children;
  const features = huggingFaceFeatures(metadata);
  const candidates = columns.filter((column) => isStruct(column) || isBinary(column));
  const chosen =
    candidates.find(({ element }) => features.get(element.name)?.type === 'Image') ??
    candidates.find(isStruct) ??
    best(candidates, IMAGE_NAMES) ??
    (candidates.length === 1 ? candidates[0] : undefined);
  if (chosen === undefined) {
    const names = columns.map(({ element }) => element.name).join(', ');
    throw new Error(
      candidates.length === 0
        ? `none of its columns (${names}) holds image files`
        : `several of its columns (${names}) may hold the images; name the right one "image"`,
    );
  }
  const label =
    columns.find(({ element }) => features.get(element.name)?.type === 'ClassLabel') ??
    best(columns.filter(isLabel), LABEL_NAMES);
  return {
    image: { name: chosen.element.name, isStruct: isStruct(chosen) },
    label: label && { name: label.element.name, names: features.get(label.element.name)?.names },
  };
}

/** A structure with a binary field "bytes". */
const isStruct = ({ children }: SchemaTree): boolean =>
  children.some((child) => child.element.name === 'bytes' && isBinary(child));

function isBinary({ children, element }: SchemaTree): boolean {
  const { type, converted_type, logical_type, repetition_type } = element;
  const isText = converted_type === 'UTF8' || logical_type?.type === 'STRING';
  return children.length === 0 && type === 'BYTE_ARRAY' && !isText && repetition_type !== 'REPEATED';
}

const isLabel = ({ children, element }: SchemaTree): boolean =>
  children.length === 0 &&
  element.repetition_type !== 'REPEATED' &&
  ['INT32', 'INT64', 'BYTE_ARRAY'].includes(element.type ?? '');

function best(columns: readonly SchemaTree[], names: readonly string[]): SchemaTree | undefined {
  for (const name of names) {
    const found = columns.find(({ element }) => element.name.toLowerCase() === name);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Feature {
  type: unknown;
  names?: string[] | undefined;
}

/** What the library "datasets" writes of the columns; nothing when that is missing or not as it should be. */
function huggingFaceFeatures({ key_value_metadata }: FileMetaData): Map<string, Feature> {
  const found = new Map<string, Feature>();
  const text = key_value_metadata?.find(({ key }) => key === 'huggingface')?.value;
  let features: unknown;
  try {
    features = JSON.parse(text ?? '{}')?.info?.features;
  } catch {
    return found;
  }
  if (typeof features !== 'object' || features === null) return found;
  for (const [name, feature] of Object.entries(
    features as Record<string, { _type?: unknown; names?: unknown }>,
  )) {
    const names = Array.isArray(feature?.names) ? feature.names.map(String) : undefined;
    found.set(name, { type: feature?._type, names });
  }
  return found;
}
