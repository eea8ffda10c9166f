// The progress of a training that this page has started: MONAI Label's panel shows it only when it connects again.
(function (sequal) {
  "use strict";

  const POLL_MS = 3000;
  // The server answers the request before the training is on its list: until then, not running does not mean ended.
  const STARTS_WITHIN_MS = 5000;

  // "Training: epoch 2 of 6", or what came of it.
  sequal.trainingText = (stats, isRunning, isNew) => {
    if (isRunning) {
      return stats.epoch && !stats.total_time ? `Training: epoch ${stats.epoch} of ${stats.total_epochs}` : "Training …";
    }
    const metric = stats.best_metric > 0 ? ` · best metric ${stats.best_metric.toFixed(3)}` : "";
    const outcome = stats.published ? "the new model is in use" : `the model stays as it was (${stats.published_reason})`;
    return isNew && stats.total_time ? `Training ended: ${outcome}${metric}` : "Training ended early: the log says why";
  };

  sequal.watchTraining = (bar) => {
    let timer = null;
    let before = null; // what was known of the round before this one
    let askedAt = 0;

    const look = async () => {
      try {
        const isListed = await sequal.server.isTraining();
        const { train_stats } = await sequal.server.info();
        const stats = train_stats.carotid || {};
        before = before || JSON.stringify(stats);
        const isNew = JSON.stringify(stats) !== before;
        const isRunning = isListed || (!isNew && Date.now() - askedAt < STARTS_WITHIN_MS);
        bar.training.textContent = sequal.trainingText(stats, isRunning, isNew);
        timer = isRunning ? setTimeout(look, POLL_MS) : null;
      } catch (error) {
        bar.training.textContent = "";
        timer = null;
        console.debug(`SEQUAL: no training to watch. ${error.message}`);
      }
    };

    const stop = sequal.onRequest("/train/", (url) => {
      // The panel's own question whether one runs, and ours, are no start.
      if (!url.search && timer === null) {
        before = null;
        askedAt = Date.now();
        timer = setTimeout(look, 0);
      }
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  };
})((window.sequal = window.sequal || {}));
