// A mask as a coloured, transparent picture: the layer green, what is beside it red, what nobody annotated hatched.
import { LAYER, UNKNOWN } from "./mask.js";

const COLOURS = { layer: [45, 212, 140, 90], other: [255, 60, 60, 190], unknown: [120, 130, 160, 60], review: [255, 150, 40, 120] };

// Paint the `pixels` of one frame on a canvas of its size; `others` are the places of what is no part of the wall.
export const paintMask = (canvas, pixels, others) => {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  pixels.forEach((value, place) => {
    if (value === LAYER) {
      image.data.set(COLOURS.layer, 4 * place);
    } else if (value === UNKNOWN && (place + Math.floor(place / canvas.width)) % 6 === 0) {
      image.data.set(COLOURS.unknown, 4 * place);
    }
  });
  others.forEach((place) => image.data.set(COLOURS.other, 4 * place));
  context.putImageData(image, 0, 0);
};

// Paint where the model expects to be wrong: `pixels` are 1 there.
export const paintReview = (canvas, pixels) => {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  pixels.forEach((value, place) => value && image.data.set(COLOURS.review, 4 * place));
  context.putImageData(image, 0, 0);
};
