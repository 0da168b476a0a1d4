/**
 * The messages of ONNX that an exported network needs, with the field numbers of onnx.proto:
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Fields that are not used are left out.
 */
import { encodeMessage, type Message } from '../protobuf.js';

/** TensorProto.DataType. */
export const ElementType = { float32: 1, uint8: 2, int64: 7 } as const;
export type ElementType = (typeof ElementType)[keyof typeof ElementType];

/** AttributeProto.AttributeType. */
export const AttributeType = { float: 1, int: 2, string: 3, ints: 7 } as const;

export interface Attribute {
  name: string;
  type: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  ints?: number[];
}

export interface Node {
  name: string;
  opType: string;
  input: string[];
  output: string[];
  attribute: Attribute[];
}

export interface Initializer {
  name: string;
  dims: number[];
  dataType: ElementType;
  /** Little-endian. */
  rawData: Uint8Array;
}

/** A dimension is a number, or the name of one that is known only when the network runs. */
export interface ValueInfo {
  name: string;
  docString: string;
  type: {
    tensorType: { elemType: ElementType; shape: { dim: ({ dimValue: number } | { dimParam: string })[] } };
  };
}

export interface Model {
  irVersion: number;
  producerName: string;
  producerVersion: string;
  docString: string;
  opsetImport: { domain: string; version: number }[];
  graph: { name: string; node: Node[]; initializer: Initializer[]; input: ValueInfo[]; output: ValueInfo[] };
  metadataProps: { key: string; value: string }[];
}

const repeated = true;

const Attribute: Message = {
  name: { id: 1, type: 'string' },
  f: { id: 2, type: 'float' },
  i: { id: 3, type: 'int64' },
  s: { id: 4, type: 'bytes' },
  ints: { id: 8, type: 'int64', repeated },
  type: { id: 20, type: 'int32' },
};
const Dimension: Message = { dimValue: { id: 1, type: 'int64' }, dimParam: { id: 2, type: 'string' } };
const Shape: Message = { dim: { id: 1, type: Dimension, repeated } };
const TensorType: Message = { elemType: { id: 1, type: 'int32' }, shape: { id: 2, type: Shape } };
const ValueInfo: Message = {
  name: { id: 1, type: 'string' },
  type: { id: 2, type: { tensorType: { id: 1, type: TensorType } } },
  docString: { id: 3, type: 'string' },
};
const Initializer: Message = {
  dims: { id: 1, type: 'int64', repeated },
  dataType: { id: 2, type: 'int32' },
  name: { id: 8, type: 'string' },
  rawData: { id: 9, type: 'bytes' },
};
const Node: Message = {
  input: { id: 1, type: 'string', repeated },
  output: { id: 2, type: 'string', repeated },
  name: { id: 3, type: 'string' },
  opType: { id: 4, type: 'string' },
  attribute: { id: 5, type: Attribute, repeated },
};
const Graph: Message = {
  node: { id: 1, type: Node, repeated },
  name: { id: 2, type: 'string' },
  initializer: { id: 5, type: Initializer, repeated },
  input: { id: 11, type: ValueInfo, repeated },
  output: { id: 12, type: ValueInfo, repeated },
};
const Opset: Message = { domain: { id: 1, type: 'string' }, version: { id: 2, type: 'int64' } };
const Property: Message = { key: { id: 1, type: 'string' }, value: { id: 2, type: 'string' } };
const Model: Message = {
  irVersion: { id: 1, type: 'int64' },
  producerName: { id: 2, type: 'string' },
  producerVersion: { id: 3, type: 'string' },
  docString: { id: 6, type: 'string' },
  graph: { id: 7, type: Graph },
  opsetImport: { id: 8, type: Opset, repeated },
  metadataProps: { id: 14, type: Property, repeated },
};

/** The bytes of an .onnx file. */
export const encodeModel = (model: Model): Uint8Array => encodeMessage(Model, model);
