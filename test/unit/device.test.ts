import { describe, expect, it } from 'vitest';
import { requireDevice, requireDevices } from '../../lib/device.js';
import type { CudaInfo } from '../../lib/native.js';

const gpu = { name: 'NVIDIA H200', capability: '9.0', bytes: 150e9 };
const working: CudaInfo = { built: true, driver: 13000, runtime: 13000, devices: [gpu, gpu] };
const broken = (fault: string): CudaInfo => ({ built: false, driver: 0, runtime: 0, devices: [], fault });

describe('the device that a name stands for', () => {
  it.each([
    ['auto', 'cuda:0', 'cpu'],
    ['cpu', 'cpu', 'cpu'],
    ['cuda', 'cuda:0', undefined],
    ['cuda:1', 'cuda:1', undefined],
  ])('%s', (name, with_, without) => {
    expect(requireDevice(name, working)).toBe(with_);
    const none = broken('there is no NVIDIA driver');
    if (without === undefined) expect(() => requireDevice(name, none)).toThrow(/device cuda/);
    else expect(requireDevice(name, none)).toBe(without);
  });

  it.each([
    ['LibTorch has no CUDA library (no lib/libtorch_cuda.so)', /no CUDA library .*setup --cuda on/],
    ['there was no nvcc when the addon was built', /no nvcc .*toolkit.*setup --force/],
    ['LibTorch is of CUDA 13.0 and nvcc of CUDA 12.8', /CUDA 13\.0 and nvcc .*toolkit/],
    ['this build was made without CUDA on request', /on request; .*setup --cuda on/],
    ['there is no NVIDIA driver', /no NVIDIA driver; install the driver/],
    ['there is no CUDA device', /no CUDA device, or use --device cpu/],
  ])('says what is missing and what to do: %s', (fault, message) => {
    expect(() => requireDevice('cuda', broken(fault))).toThrow(message);
    expect(() => requireDevice('cuda', broken(fault))).toThrow(
      expect.objectContaining({ code: 'ERR_SAN_DEVICE', details: { field: 'device', value: 'cuda' } }),
    );
  });

  it('is that of its own for each rank of a machine; the only one it sees, where its launcher gave it that', () => {
    const one: CudaInfo = { ...working, devices: [gpu] };
    expect(['auto', 'cuda', 'cpu'].map((name) => requireDevice(name, working, 1))).toEqual([
      'cuda:1',
      'cuda:1',
      'cpu',
    ]);
    expect(['auto', 'cuda:0'].map((name) => requireDevice(name, one, 3))).toEqual(['cuda:0', 'cuda:0']);
    expect(() => requireDevice('cuda:0', working, 1)).toThrow('several ranks of a machine need a GPU each');
    expect(() => requireDevice('auto', working, 2)).toThrow(
      'no device for rank 2 of this machine, only cuda:0',
    );
    expect(requireDevice('auto', broken('there is no CUDA device'), 2)).toBe('cpu');
  });

  it('images that must be on a GPU are refused early where there is none', () => {
    const none = broken('there is no NVIDIA driver');
    expect(requireDevices({ device: 'auto', dataDevice: 'device' }, working)).toBe('cuda:0');
    expect(requireDevices({ device: 'auto', dataDevice: 'host' }, none)).toBe('cpu');
    expect(() => requireDevices({ device: 'auto', dataDevice: 'device' }, none)).toThrow(
      expect.objectContaining({ code: 'ERR_SAN_DEVICE', details: { field: 'dataDevice', value: 'device' } }),
    );
  });

  it('a number beyond the last device, and a name that is none, are refused', () => {
    expect(() => requireDevice('cuda:2', working)).toThrow('only cuda:0 (NVIDIA H200), cuda:1 (NVIDIA H200)');
    expect(() => requireDevice('gpu', working)).toThrow('use auto, cpu, cuda, or cuda:N');
  });
});
