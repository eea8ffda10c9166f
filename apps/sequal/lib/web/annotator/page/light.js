// The brightness of the picture: a gamma curve, so that a dark lumen comes up and a bright wall does not burn out.
export const lit = (picture, light) => {
  if (light === 1) {
    return picture;
  }
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: picture.width, height: picture.height });
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const curve = Uint8ClampedArray.from({ length: 256 }, (_, grey) => 255 * (grey / 255) ** (1 / light));
  for (let i = 0; i < pixels.data.length; i += 1) {
    if (i % 4 < 3) {
      pixels.data[i] = curve[pixels.data[i]];
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
};
