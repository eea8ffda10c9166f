// Masks on their way: NRRD files on the grid of the image's file, and the grid of the frame as the annotator sees it.
//
// The two differ where a photograph was turned or a volume cut along another axis; `info.layout` says how.

// For every axis of the file, its length and how far one step along it goes in the frame's array.
const fileAxes = ({ width, height, frames, layout }) => {
  const lengths = [width, height, frames];
  const steps = [1, width, width * height];
  const flips = [layout.flip_x, layout.flip_y, false];
  const axes = [];
  layout.axes.forEach((axis, place) => {
    axes[axis] = { length: lengths[place], step: steps[place], flip: flips[place] };
  });
  return axes;
};

// Calls `visit(place in the file, place in the frame)` for every pixel.
const everyPixel = (axes, visit) => {
  const at = ({ length, step, flip }, i) => step * (flip ? length - 1 - i : i);
  let place = 0;
  for (let k = 0; k < axes[2].length; k += 1) {
    for (let j = 0; j < axes[1].length; j += 1) {
      for (let i = 0; i < axes[0].length; i += 1) {
        visit(place, at(axes[0], i) + at(axes[1], j) + at(axes[2], k));
        place += 1;
      }
    }
  }
};

// The file of a mask, compressed: a mask of half a million pixels takes a few thousand bytes on a slow connection.
export const writeNrrd = async (info, voxels) => {
  const axes = fileAxes(info);
  const sizes = axes.map(({ length }) => length).join(" ");
  const header = `NRRD0004\ntype: uint8\ndimension: 3\nsizes: ${sizes}\nencoding: gzip\n\n`;
  const values = new Uint8Array(voxels.length);
  everyPixel(axes, (there, here) => {
    values[there] = voxels[here];
  });
  const packed = new Blob([values]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Blob([header, await new Response(packed).blob()]);
};

// The mask in a file that is not compressed, as the server sends it; of a frame that is stored twice, the first copy.
export const readNrrd = (info, file) => {
  let start = 1;
  while (start < file.length && !(file[start - 1] === 10 && file[start] === 10)) {
    start += 1;
  }
  const values = file.subarray(start + 1);
  const voxels = new Uint8Array(info.width * info.height * info.frames);
  everyPixel(fileAxes(info), (there, here) => {
    voxels[here] = values[there];
  });
  return voxels;
};
