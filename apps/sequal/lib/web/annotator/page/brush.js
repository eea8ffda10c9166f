// Brush and eraser: a stroke is filled from each place to the next, however far apart the browser reports them.
import { LAYER } from "./mask.js";

// Close what a round brush leaves open beside the layer that it touches: in the columns that changed since `before`, gaps
// of at most `most` rows between two pieces.
export const closeGaps = (pixels, before, width, most) => {
  const columns = new Set();
  pixels.forEach((value, place) => value !== before[place] && columns.add(place % width));
  columns.forEach((column) => {
    let last = -1; // row of the layer above
    for (let y = 0; y * width + column < pixels.length; y += 1) {
      if (pixels[y * width + column] !== LAYER) {
        continue;
      }
      if (last >= 0 && y - last - 1 <= most) {
        for (let row = last + 1; row < y; row += 1) {
          pixels[row * width + column] = LAYER;
        }
      }
      last = y;
    }
  });
};

// Set all pixels within `radius` of the way from `from` to `to`.
//
// Places are [column, row] in pixels, the centre of the first pixel is 0. `scale` is [dx, dy], lengths of a pixel in the
// unit of `radius` (millimetres, or 1 and 1). Even the smallest brush leaves no gap: it reaches half a pixel's diagonal.
export const fillStroke = (pixels, width, from, to, radius, scale, value) => {
  const [dx, dy] = scale;
  const height = pixels.length / width;
  const reach = Math.max(radius, Math.hypot(dx, dy) / 2);
  const clip = (low, high, most) => [Math.max(0, Math.ceil(low)), Math.min(most - 1, Math.floor(high))];
  const [x0, x1] = clip(Math.min(from[0], to[0]) - reach / dx, Math.max(from[0], to[0]) + reach / dx, width);
  const [y0, y1] = clip(Math.min(from[1], to[1]) - reach / dy, Math.max(from[1], to[1]) + reach / dy, height);
  const along = [(to[0] - from[0]) * dx, (to[1] - from[1]) * dy];
  const squared = along[0] ** 2 + along[1] ** 2;
  for (let y = y0; y <= y1; y += 1) {
    for (let x = x0; x <= x1; x += 1) {
      const off = [(x - from[0]) * dx, (y - from[1]) * dy];
      const share = squared ? Math.min(1, Math.max(0, (off[0] * along[0] + off[1] * along[1]) / squared)) : 0;
      if (Math.hypot(off[0] - share * along[0], off[1] - share * along[1]) <= reach) {
        const place = y * width + x;
        // The eraser leaves what nobody annotated.
        pixels[place] = value === LAYER || pixels[place] === LAYER ? value : pixels[place];
      }
    }
  }
};
