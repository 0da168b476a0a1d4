/**
 * The messages of ONNX that an exported network needs, with the field numbers of onnx.proto, as a protobufjs
 * descriptor: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Fields that are not used are left out.
 */
import protobuf from 'protobufjs/light.js';

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

type Field = [id: number, type: string, repeated?: 'repeated'];

function message(fields: Record<string, Field>): protobuf.INamespace {
  const entries = Object.entries(fields).map(([name, [id, type, repeated]]) => {
    // onnx.proto is proto2, whose repeated numbers are not packed.
    const rule = repeated && { rule: repeated, ...(type === 'int64' && { options: { packed: false } }) };
    return [name, { id, type, ...rule }];
  });
  return { fields: Object.fromEntries(entries) } as protobuf.INamespace;
}

const root = protobuf.Root.fromJSON({
  nested: {
    Attribute: message({
      name: [1, 'string'],
      f: [2, 'float'],
      i: [3, 'int64'],
      s: [4, 'bytes'],
      ints: [8, 'int64', 'repeated'],
      type: [20, 'int32'],
    }),
    Dimension: message({ dimValue: [1, 'int64'], dimParam: [2, 'string'] }),
    Shape: message({ dim: [1, 'Dimension', 'repeated'] }),
    TensorType: message({ elemType: [1, 'int32'], shape: [2, 'Shape'] }),
    Type: message({ tensorType: [1, 'TensorType'] }),
    ValueInfo: message({ name: [1, 'string'], type: [2, 'Type'], docString: [3, 'string'] }),
    Initializer: message({
      dims: [1, 'int64', 'repeated'],
      dataType: [2, 'int32'],
      name: [8, 'string'],
      rawData: [9, 'bytes'],
    }),
    Node: message({
      input: [1, 'string', 'repeated'],
      output: [2, 'string', 'repeated'],
      name: [3, 'string'],
      opType: [4, 'string'],
      attribute: [5, 'Attribute', 'repeated'],
    }),
    Graph: message({
      node: [1, 'Node', 'repeated'],
      name: [2, 'string'],
      initializer: [5, 'Initializer', 'repeated'],
      input: [11, 'ValueInfo', 'repeated'],
      output: [12, 'ValueInfo', 'repeated'],
    }),
    Opset: message({ domain: [1, 'string'], version: [2, 'int64'] }),
    Property: message({ key: [1, 'string'], value: [2, 'string'] }),
    Model: message({
      irVersion: [1, 'int64'],
      producerName: [2, 'string'],
      producerVersion: [3, 'string'],
      docString: [6, 'string'],
      graph: [7, 'Graph'],
      opsetImport: [8, 'Opset', 'repeated'],
      metadataProps: [14, 'Property', 'repeated'],
    }),
  },
});

const modelType = root.lookupType('Model');

/** The bytes of an .onnx file. */
export const encodeModel = (model: Model): Uint8Array => modelType.encode(model).finish();
