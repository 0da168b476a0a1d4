/** Which device work runs on, and what is missing where one was asked for. */
import { SanError } from './errors.js';
import type { CudaInfo, DataDevice, Device } from './native.js';

const MISSING = [
  {
    of: /no CUDA library/,
    fix: 'fetch a LibTorch that has one and build against it: npx san-native setup --cuda on',
  },
  {
    of: /no nvcc|CUDA [\d.]+ and nvcc/,
    fix: 'install that CUDA toolkit, then: npx san-native setup --force',
  },
  { of: /on request/, fix: 'build it with CUDA: npx san-native setup --cuda on' },
  {
    of: /driver/,
    fix: 'install the driver, or start the container with GPU access, so that nvidia-smi works',
  },
] as const;

/**
 * The device that `name` stands for: auto is a CUDA device if one can be used, else the processor; auto and cuda are the
 * first one, or that of a rank's own number on its machine. Where a rank sees one device only, its launcher gave it that.
 * Throws ERR_SAN_DEVICE saying which part is missing: the build, LibTorch's CUDA library, the driver, the device.
 */
export function requireDevice(name: string, cuda: CudaInfo, localRank = 0): Device {
  if (name === 'cpu') return 'cpu';
  const count = cuda.fault === undefined ? cuda.devices.length : 0;
  const own = count === 1 ? 0 : localRank;
  if (name === 'auto' && count === 0) return 'cpu';
  const index =
    name === 'cuda' || name === 'auto' ? own : Number(/^cuda:(\d{1,3})$/.exec(name)?.[1] ?? Number.NaN);
  const refuse = (reason: string) =>
    new SanError('ERR_SAN_DEVICE', `device ${name}: ${reason}`, { field: 'device', value: name });
  if (Number.isNaN(index))
    throw refuse('there is no such name; use auto, cpu, cuda, or cuda:N for one of several');
  if (cuda.fault !== undefined) {
    const fix = MISSING.find(({ of }) => of.test(cuda.fault ?? ''))?.fix;
    throw refuse(`${cuda.fault}${fix === undefined ? '' : `; ${fix}`}, or use --device cpu`);
  }
  if (localRank > 0 && count > 1 && name.startsWith('cuda:'))
    throw refuse(
      'several ranks of a machine need a GPU each; use cuda, with which each takes that of its number',
    );
  if (index >= count) {
    const names = cuda.devices.map((device, i) => `cuda:${i} (${device.name})`).join(', ');
    const which = name.startsWith('cuda:') ? 'such device' : `device for rank ${localRank} of this machine`;
    throw refuse(`there is no ${which}, only ${names || 'none'}`);
  }
  return `cuda:${index}`;
}

/** As requireDevice(), for a run that keeps its images where `dataDevice` says: `device` takes a GPU. */
export function requireDevices(
  { device: name, dataDevice }: { device: string; dataDevice: DataDevice },
  cuda: CudaInfo,
  localRank = 0,
): Device {
  const device = requireDevice(name, cuda, localRank);
  if (dataDevice === 'device' && device === 'cpu')
    throw new SanError(
      'ERR_SAN_DEVICE',
      "dataDevice is 'device', but training runs on the processor; choose a GPU with device, or set dataDevice to auto or host",
      { field: 'dataDevice', value: dataDevice },
    );
  return device;
}
