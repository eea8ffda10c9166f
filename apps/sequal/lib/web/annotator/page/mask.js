// The mask: one byte a pixel (0 background, 1 layer, 255 not annotated), columns fastest, and every edit as a difference.
export const LAYER = 1;
export const UNKNOWN = 255;

export class Mask {
  constructor(info, voxels) {
    this.width = info.width;
    this.height = info.height;
    this.frames = info.frames;
    this.size = this.width * this.height;
    this.voxels = voxels || new Uint8Array(this.size * this.frames);
  }

  // The pixels of one frame; writing to them writes to the mask.
  frame(index) {
    return this.voxels.subarray(index * this.size, (index + 1) * this.size);
  }

  isEmpty() {
    return !this.voxels.includes(LAYER);
  }

  // Let `act` change one frame (or all, without `index`), and say what changed. A column in which something was drawn
  // is annotated: what was unknown in it becomes background.
  edit(act, index) {
    const from = index === undefined ? 0 : index * this.size;
    const part = index === undefined ? this.voxels : this.frame(index);
    const before = part.slice();
    act(part);
    if (index !== undefined) {
      this.#settleColumns(part, before);
    }
    return difference(before, part, from);
  }

  // Apply the `values` of a difference: `after` again, or `before` to undo it.
  apply(change, side) {
    change.places.forEach((place, i) => {
      this.voxels[place] = change[side][i];
    });
  }

  #settleColumns(part, before) {
    const touched = new Set();
    for (let place = 0; place < part.length; place += 1) {
      if (part[place] !== before[place]) {
        touched.add(place % this.width);
      }
    }
    touched.forEach((column) => {
      for (let place = column; place < part.length; place += this.width) {
        part[place] = part[place] === UNKNOWN ? 0 : part[place];
      }
    });
  }
}

// What differs between two states of the same pixels, or null. `from` is the place of the first pixel in the mask.
export const difference = (before, after, from = 0) => {
  const found = [];
  for (let i = 0; i < after.length; i += 1) {
    if (before[i] !== after[i]) {
      found.push(i);
    }
  }
  if (!found.length) {
    return null;
  }
  return {
    places: Uint32Array.from(found, (i) => i + from),
    before: Uint8Array.from(found, (i) => before[i]),
    after: Uint8Array.from(found, (i) => after[i]),
  };
};

// Runs of equal bytes, [value, length, value, length, …], and back: a mask takes a few hundred numbers.
export const packed = (voxels) => {
  const runs = [];
  let start = 0;
  for (let i = 1; i <= voxels.length; i += 1) {
    if (i === voxels.length || voxels[i] !== voxels[start]) {
      runs.push(voxels[start], i - start);
      start = i;
    }
  }
  return runs;
};

export const unpacked = (runs, length) => {
  const voxels = new Uint8Array(length);
  let place = 0;
  for (let i = 0; i < runs.length; i += 2) {
    voxels.fill(runs[i], place, place + runs[i + 1]);
    place += runs[i + 1];
  }
  return voxels;
};
