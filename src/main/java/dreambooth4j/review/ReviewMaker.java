package dreambooth4j.review;

import dreambooth4j.config.Config;
import dreambooth4j.data.ClassImage;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.Models;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.prior.ClassImageGenerator;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.weights.ModelSource;

/**
 * Makes the class images that a {@link Review} orders, on a thread of its own. The base model is
 * loaded for the first of them and stays in memory until the maker is closed.
 */
public final class ReviewMaker implements AutoCloseable {
  private final Config config;
  private final Review review;
  private final Thread thread = new Thread(this::work, "class images");

  /** Starts to wait for orders. */
  public ReviewMaker(Config config, Review review) {
    this.config = config;
    this.review = review;
    thread.setDaemon(true);
    thread.start();
  }

  private void work() {
    Model model = null;
    try {
      for (ClassImagePlan plan = review.take(); plan != null; plan = review.take()) {
        String problem = null;
        try {
          if (model == null) {
            review.at("loading the base model", 0, 0);
            model = Model.load(config);
          }
          review.at("making", 0, 0);
          model.generator.generate(model.run, plan, listener(), review::stopped);
        } catch (RuntimeException | OutOfMemoryError e) {
          String why = e.getMessage();
          problem = "class images cannot be made: " + (why == null ? e.toString() : why);
        }
        review.ended(problem);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      if (model != null) {
        model.close();
      }
    }
  }

  private ClassImageGenerator.Listener listener() {
    return new ClassImageGenerator.Listener() {
      @Override
      public void made(int done, int missing) {}

      @Override
      public void written(ClassImage image) {
        review.made(image);
      }

      @Override
      public void sampled(int step, int steps) {
        review.at("making", step, steps);
      }
    };
  }

  /** Gives up what is under way after its sampler step, and frees the base model. */
  @Override
  public void close() {
    review.close();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The base model in the memory of the thread that loads and closes it. */
  private record Model(Arena run, StableDiffusion weights, ClassImageGenerator generator) {
    static Model load(Config config) {
      ModelSource base = Models.find(config.model());
      Arena run = Devices.open("review", Devices.choose(config.compute()));
      try {
        StableDiffusion weights = StableDiffusion.loadToDraw(run, base, config.compute());
        return new Model(run, weights, new ClassImageGenerator(config, base, weights));
      } catch (RuntimeException | OutOfMemoryError e) {
        run.close();
        throw e;
      }
    }

    void close() {
      weights.close();
      run.close();
    }
  }
}
