package dreambooth4j.web;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.review.Review;
import dreambooth4j.review.ReviewMaker;
import dreambooth4j.train.TinyRun;
import java.util.List;

/**
 * A {@link TinyRun} under review: what lies on disk when it begins is served until it is closed.
 */
final class TinyReview implements AutoCloseable {
  final Review review;
  final ReviewServer server;
  private final ReviewMaker maker;

  TinyReview(TinyRun tiny) {
    Config config = tiny.config();
    List<Concept> concepts = Concept.scanAll(config);
    review = new Review(config, concepts, ClassImagePlan.of(config, concepts));
    maker = new ReviewMaker(config, review);
    server = new ReviewServer(review, false, 0);
  }

  @Override
  public void close() {
    server.close();
    maker.close();
  }
}
