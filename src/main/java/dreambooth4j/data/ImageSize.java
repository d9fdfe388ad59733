package dreambooth4j.data;

/** Width and height in pixels of a picture standing upright. */
public record ImageSize(int width, int height) {}
