/** Puts an ONNX graph together, one operation after the other. */
import type { NativeTensor } from '../native.js';
import { type Attribute, AttributeType, ElementType, type Initializer, type Node } from './messages.js';

/** A whole number, several of them, text, or a number that is a float even when it is whole. */
export type AttributeValue = number | readonly number[] | string | { float: number };

export class Graph {
  readonly nodes: Node[] = [];
  readonly initializers: Initializer[] = [];
  private readonly known = new Set<string>();

  /** Adds an operation; gives the name of its one output, which is `output` or made up of the operation's. */
  add(
    opType: string,
    input: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output = `${opType}_${this.nodes.length}`,
  ): string {
    const attribute = Object.entries(attributes).map(([name, value]) => toAttribute(name, value));
    this.nodes.push({ name: output, opType, input: [...input], output: [output], attribute });
    return output;
  }

  /** A parameter of the network, under `name`; `shape` for one that ONNX wants in another shape. */
  parameter(name: string, tensor: NativeTensor, shape: readonly number[] = tensor.shape): string {
    return this.initializer(name, shape, ElementType.float32, float32Bytes(tensor));
  }

  /** A float constant; whole arrays of integers with `integers`. Equal names are equal constants. */
  scalar(name: string, value: number): string {
    return this.initializer(name, [], ElementType.float32, bytesOf(Float32Array.of(value)));
  }

  floats(name: string, values: readonly number[]): string {
    return this.initializer(name, [values.length], ElementType.float32, bytesOf(Float32Array.from(values)));
  }

  integers(name: string, values: readonly number[]): string {
    const data = BigInt64Array.from(values, BigInt);
    return this.initializer(name, [values.length], ElementType.int64, bytesOf(data));
  }

  private initializer(
    name: string,
    dims: readonly number[],
    dataType: ElementType,
    rawData: Uint8Array,
  ): string {
    if (!this.known.has(name)) this.initializers.push({ name, dims: [...dims], dataType, rawData });
    this.known.add(name);
    return name;
  }
}

function toAttribute(name: string, value: AttributeValue): Attribute {
  if (typeof value === 'number') return { name, type: AttributeType.int, i: value };
  if (typeof value === 'string') return { name, type: AttributeType.string, s: Buffer.from(value) };
  if ('float' in value) return { name, type: AttributeType.float, f: value.float };
  return { name, type: AttributeType.ints, ints: [...value] };
}

// Tensors are little-endian, as every machine is that Node runs on.
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function float32Bytes({ dtype, data }: NativeTensor): Uint8Array {
  if (dtype === 'float32') return data;
  return bytesOf(Float32Array.from(new Float64Array(data.slice().buffer)));
}
