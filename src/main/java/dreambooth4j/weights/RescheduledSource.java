package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Set;

/**
 * A model whose scheduler_config.json is another: it is read with that, and a copy of it has it, so
 * that whoever draws with a model that was trained otherwise draws with what it was trained for.
 */
public final class RescheduledSource extends DerivedSource {
  private final ObjectNode scheduler;

  /**
   * The same model with another schedule.
   *
   * @param scheduler all values of its scheduler_config.json
   */
  public RescheduledSource(ModelSource base, ObjectNode scheduler) {
    super(base);
    this.scheduler = scheduler;
  }

  @Override
  public ObjectNode config(Component component) {
    return component == Component.SCHEDULER ? scheduler.deepCopy() : base.config(component);
  }

  @Override
  public void copyTo(NewFiles files, Path output, Set<Component> trained) {
    Component component = Component.SCHEDULER;
    Path own = output.resolve(component.folder()).resolve(component.configFile());
    base.copyTo(
        new NewFiles() {
          @Override
          public void add(Path target, StagedFiles.Body body) {
            files.add(target, target.equals(own) ? StagedFiles.Body.of(json()) : body);
          }

          @Override
          public void copy(Path source, Path target) {
            if (target.equals(own)) {
              files.add(target, StagedFiles.Body.of(json()));
            } else {
              files.copy(source, target);
            }
          }
        },
        output,
        trained);
  }

  private byte[] json() {
    try {
      ObjectMapper mapper = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
      return mapper.writeValueAsBytes(scheduler);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("what was read as JSON can be written as JSON", e);
    }
  }
}
