// The layer as two lines, and what is no part of it: at most one piece in a column is the wall.
import { LAYER } from "./mask.js";

// Connected pieces (eight neighbours) of the layer in one frame: the number of every pixel's piece (0: none), and for
// each piece its first and last column and its pixels.
const pieces = (pixels, width) => {
  const number = new Int32Array(pixels.length);
  const found = [];
  const stack = [];
  for (let start = 0; start < pixels.length; start += 1) {
    if (pixels[start] !== LAYER || number[start]) {
      continue;
    }
    const piece = { number: found.length + 1, first: width, last: -1, pixels: 0 };
    found.push(piece);
    number[start] = piece.number;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop();
      const x = place % width;
      piece.first = Math.min(piece.first, x);
      piece.last = Math.max(piece.last, x);
      piece.pixels += 1;
      for (let row = place - width; row <= place + width; row += width) {
        for (let step = x > 0 ? -1 : 0; step <= (x < width - 1 ? 1 : 0); step += 1) {
          const next = row + step;
          if (next >= 0 && next < pixels.length && pixels[next] === LAYER && !number[next]) {
            number[next] = piece.number;
            stack.push(next);
          }
        }
      }
    }
  }
  return { number, found };
};

// A notch in a ragged end may be this part of the wall's mean thickness high, as in the server.
const LARGEST_NOTCH = 0.5;

// The wall in one frame.
//
// The widest piece counts first, as in the server; other pieces count in the columns that it leaves free, the wider ones
// first. In each column the longest run counts.
//
// Returns `first` and `last`, the rows of the run in each column (-1: none), and `others`, the places of every pixel of
// the layer beside it, which are shown in red. What a notch parts from the wall's own end is not among them.
export const wall = (pixels, width) => {
  const height = pixels.length / width;
  const { number, found } = pieces(pixels, width);
  const order = [...found].sort((a, b) => b.last - b.first - (a.last - a.first) || b.pixels - a.pixels);
  const rank = new Int32Array(found.length + 1);
  order.forEach((piece, place) => {
    rank[piece.number] = place + 1;
  });
  const first = new Int32Array(width).fill(-1);
  const last = new Int32Array(width).fill(-1);
  const beside = [];
  for (let x = 0; x < width; x += 1) {
    const runs = [];
    for (let y = 0; y < height; y += 1) {
      const at = rank[number[y * width + x]];
      if (!at) {
        continue;
      }
      const run = runs[runs.length - 1];
      if (run && run.last === y - 1) {
        run.last = y;
      } else {
        runs.push({ first: y, last: y, rank: at });
      }
    }
    if (!runs.length) {
      continue;
    }
    const best = runs.reduce((a, b) =>
      b.rank < a.rank || (b.rank === a.rank && b.last - b.first > a.last - a.first) ? b : a
    );
    first[x] = best.first;
    last[x] = best.last;
    runs
      .filter((run) => run !== best)
      .forEach((run) => {
        const gap = Math.max(run.first - best.last, best.first - run.last) - 1;
        beside.push({ ...run, x, gap: run.rank === best.rank ? gap : Infinity });
      });
  }
  const rows = first.reduce((sum, row, x) => (row < 0 ? sum : sum + last[x] - row + 1), 0);
  const columns = first.filter((row) => row >= 0).length;
  const notch = columns ? Math.max(1, (LARGEST_NOTCH * rows) / columns) : 0;
  const others = beside
    .filter((run) => run.gap > notch)
    .flatMap((run) => Array.from({ length: run.last - run.first + 1 }, (_, i) => (run.first + i) * width + run.x));
  return { first, last, others };
};

// Columns without a gap in which there is a wall: [[from, to], …], both included.
export const stretches = (first) => {
  const found = [];
  first.forEach((row, x) => {
    const open = found[found.length - 1];
    if (row < 0) {
      return;
    }
    if (open && open[1] === x - 1) {
      open[1] = x;
    } else {
      found.push([x, x]);
    }
  });
  return found;
};
