// What happens in the bar: saving a label, fetching the next sample, reading the thickness of a new mask.
(function (sequal) {
  "use strict";

  const STRATEGY = "sequal-strategy";
  const WHY = "sequal-why";

  const same = (one, other) => one && other && one.length === other.length && one.every((v, i) => v === other[i]);

  const remembered = (key) => {
    try {
      return localStorage.getItem(key);
    } catch (error) {
      return null;
    }
  };

  const remember = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch (error) {
      console.debug("SEQUAL: this browser keeps no settings");
    }
  };

  sequal.annotate = (bar, view) => {
    let labels = {};
    let saved = null; // voxels as the server has them
    let warned = false;
    let warnedOfNothing = false;

    const learn = async () => {
      const info = await sequal.server.info();
      labels = info.models.carotid.labels;
      const { completed, total } = info.datastore;
      bar.count.textContent = `${completed} of ${total} annotated`;
      const names = Object.keys(info.strategies);
      if (bar.strategy.options.length !== names.length) {
        bar.strategy.replaceChildren(...names.map((name) => new Option(name.replace(/_/g, " "), name)));
        const last = remembered(STRATEGY);
        bar.strategy.value = names.includes(last) ? last : names[0];
      }
    };

    const alone = async (act) => {
      bar.busy(true);
      try {
        await act();
      } catch (error) {
        bar.say(error.message, "bad");
      }
      bar.busy(false);
    };

    const save = async () => {
      const label = view.label();
      if (!label) {
        throw new Error("There is no label yet. Connect to the server, then run the segmentation or draw one.");
      }
      if (label.image !== view.image()) {
        throw new Error("Not saved. The label was begun on another image; open this one from the study list first.");
      }
      if (!label.voxels.some(Boolean) && !warnedOfNothing) {
        warnedOfNothing = true;
        bar.say("Nothing is drawn. Press Save once more to say that this frame shows no layer.", "bad");
        return;
      }
      warnedOfNothing = false;
      bar.say("Saving …");
      let reply;
      try {
        reply = await sequal.server.saveLabel(label.image, label.voxels, labels);
      } catch (error) {
        throw new Error(`Not saved. ${error.message}`);
      }
      saved = label.voxels;
      warned = false;
      const warnings = (reply.warnings || []).join(" ");
      if (reply.pacs === "waiting") {
        bar.say(`Saved at the server, which sends it to the PACS later. ${reply.reason || ""} ${warnings}`, "bad");
      } else if (reply.pacs === "kept here") {
        bar.say(`Saved at the server, and used there. The PACS cannot have it. ${reply.reason || ""} ${warnings}`, "bad");
      } else if (warnings) {
        bar.say(`Saved, but look again. ${warnings}`, "bad");
      } else {
        bar.say("Saved.", "good");
      }
      await learn().catch((error) => console.error(`SEQUAL: the count is an old one. ${error.message}`));
    };

    const isUnsaved = () => {
      const label = view.label();
      return Boolean(label) && label.voxels.some(Boolean) && !same(label.voxels, saved);
    };

    const next = async () => {
      if (isUnsaved() && !warned) {
        warned = true;
        bar.say("This label is not saved. Press Next sample once more to leave it.", "bad");
        return;
      }
      bar.say("Choosing the next sample …");
      const sample = await sequal.server.nextSample(bar.strategy.value);
      if (!sample || !sample.StudyInstanceUID) {
        bar.say("No image is left: all are annotated, or other annotators are working on them.", "good");
        return;
      }
      remember(WHY, sample.reason ? `This image was chosen: ${sample.reason}` : "");
      const query = new URLSearchParams(window.location.search);
      query.delete("StudyInstanceUIDs");
      query.append("StudyInstanceUIDs", sample.StudyInstanceUID); // last: the stock Next Sample replaces what is last
      window.location.search = query.toString();
    };

    const measure = async (image) => {
      try {
        bar.readout.textContent = sequal.readoutOf(await sequal.server.measurement(image));
      } catch (error) {
        bar.readout.textContent = "";
        console.error(`SEQUAL: no measurement. ${error.message}`);
      }
    };

    // OHIF throws the measurements of a mask away: whenever it has fetched one, they are asked for again.
    const stop = sequal.onRequest("/infer/", (url) => measure(url.searchParams.get("image")));

    // What the last page was told about this one.
    bar.say(remembered(WHY) || "");
    remember(WHY, "");

    bar.save.onclick = () => alone(save);
    bar.next.onclick = () => alone(next);
    bar.strategy.onchange = () => remember(STRATEGY, bar.strategy.value);
    alone(learn);
    const stopWatching = sequal.watchTraining(bar);
    return () => {
      stop();
      stopWatching();
    };
  };
})((window.sequal = window.sequal || {}));
